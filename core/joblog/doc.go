// Package joblog carries the output of steps from the process that writes it to the file that keeps it.
//
// In the worker a [Recorder] takes the bytes of one step as they come: it makes them valid UTF-8, finds the OUTPUT:
// lines, replaces secrets ([mask.Masker]), cuts lines, and hands them on in batches. In the server a [Store] appends these
// batches to one file per job and reads them back by line.
//
// # Format
//
// A log is one JSON object a line, with its keys in this order and without blanks; attempt stands there only above 1:
//
//	{"step":"build","attempt":2,"stream":"stdout","ts":"2026-01-02T03:04:05.678901Z","line":"hello"}
//
// Because the form is fixed, the server checks it and searches it without decoding JSON. Lines of a job are numbered
// from 1 in the order of the file; lines of one attempt of a step are numbered from 1 in the order of the worker, so
// that a batch that is sent twice is stored once.
package joblog
