// Command sluice is the broker and every tool around it in one binary.
//
// Its own commands (server, topic, produce, consume, config, cluster, log, bench, version) are
// written for people; Kafka's shell tools are there too, as subcommands and by the name of a link to
// the binary, with Kafka's flags, output and exit codes, for the scripts that already exist.
// docs/CLI.md lists them all.
//
// There is one file per subcommand. It holds the flags, the examples and the printing; what takes
// more than that lives in packages below internal: client (reaching a cluster), kopt (Kafka's
// command lines), lines (input), recfmt (output), logdump (files of a log).
//
// Exit codes: 0 done, 1 failed, 2 the command line is wrong (Kafka's tools know only 0 and 1), 3 a
// measurement that proves nothing, 130 interrupted before the work was done.
package main
