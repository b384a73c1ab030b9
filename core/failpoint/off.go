//go:build !failpoints

package failpoint

// Enabled tells whether points can be armed.
const Enabled = false

// Hit does nothing.
func Hit(string) {}
