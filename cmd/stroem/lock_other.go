//go:build !unix

package main

// lockDirectory does nothing where files cannot be locked this way: PostgreSQL then keeps a second server out itself.
func lockDirectory(string) (unlock func(), err error) { return func() {}, nil }
