// Package cron computes when cron expressions fire.
//
// An expression has 5 fields (minute, hour, day of month, month, weekday) or 6 (seconds in front). A field is a list of
// values, ranges (1-5), steps (*/15, 10-40/10) and names (jan, mon), where 0 and 7 are Sunday. Day of month also knows L
// (the last day), L-3 (three days before it), 15W (the weekday nearest to the 15th) and LW; weekday also knows 5L (the
// last Friday) and 5#2 (the second Friday). If day of month and weekday are both given, a day that fits either fires.
//
// Clocks that change: a time that does not exist fires once, at the instant of the change; a time that comes twice fires
// the first time. An expression for every hour follows elapsed time instead: it fires in both, and makes up for nothing.
package cron
