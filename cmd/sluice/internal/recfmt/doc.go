// Package recfmt turns consumed records into text. It knows two languages: the percent verbs of
// kcat and rpk, which `sluice consume -f` takes, and the properties of Kafka's
// DefaultMessageFormatter, which kafka-console-consumer takes. Both are compiled once and then
// append to a buffer of the caller, so that printing a record allocates nothing.
//
// The verbs:
//
//	%t topic        %k key          %v, %s value     %h headers as name=value,name=value
//	%p partition    %K key size     %V, %S its size  %H number of headers
//	%o offset       %e leader epoch %d, %T timestamp %i number of the record, from 1
//	%% a percent sign
//
// A size is in bytes and -1 for null; a timestamp is in milliseconds since 1970. In braces behind a
// verb stands how to write it:
//
//	bytes     %v{hex} %v{base64} %v{json} (a JSON string; bytes that are not UTF-8 become U+FFFD)
//	numbers   %o{hex}, and binary as %V{big32}: big or little, then 8, 16, 32 or 64 bits
//	times     %d{iso} (RFC 3339, UTC, milliseconds), %d{go[2006-01-02]} (layout of Go's time)
//	headers   %h{%k=%v;}: a format for each header, in which %k %v %K %V are the header's
//
// Outside of verbs \n \r \t \0 \\ and \xNN mean what they mean in C.
package recfmt
