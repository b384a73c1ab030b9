package main
import ("os")
const actAsHost = "STROEM_TEST_ACT_AS_HOST"
func hostMain(string) { os.Exit(1) }
