// Package show turns a result.Result into text for a terminal: the report at the end of a run, and
// the live line while it goes on. It computes nothing that is not in the result, and prints no
// percentile of a run that failed.
package show
