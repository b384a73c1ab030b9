// Package logarchive keeps the logs of finished jobs in a log store, and reads them from there without reading all of them.
//
// # Format
//
// A log is an object that ends in .jsonl.gz: gzip of its lines, in members of 4 MiB of lines each, so that gunzip reads it as a
// whole and we read a part of it by one member. Beside it, with .idx behind its key, is its index: gzip of a JSON document with
// the version of the format, where each member begins, and the [joblog.Index] of the lines.
//
// An object only ever grows: when lines come to a log later, its bytes stay and members follow. Its index is stored after it, so
// that an index, an old one too, is right for the beginning of its object.
//
// An object without an index, which other programs may have made, is read by way of a file.
package logarchive
