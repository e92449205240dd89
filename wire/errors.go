package wire

import "errors"

// ErrMalformed says that a frame does not parse as what its header claims it to be: it ends too
// early, a count or length exceeds what is left, or a field that may not be null is. Kafka closes
// the connection without an answer, and so does the broker.
var ErrMalformed = errors.New("malformed request")

// ErrUnknownAPI says that a request header names an API key that Kafka does not have. The header's
// fixed fields are filled in, for the log line; the connection is to be closed.
var ErrUnknownAPI = errors.New("unknown API key")

// ErrIncomplete says that a buffer ends inside a batch: more bytes may complete it. At the end of a
// log it is a torn write.
var ErrIncomplete = errors.New("incomplete record batch")

// ErrCorrupt says that the bytes are no record batch, and that more of them will not help.
var ErrCorrupt = errors.New("corrupt record batch")

// ErrTooLarge says that a batch's records decompress to more than the stated bound.
var ErrTooLarge = errors.New("decompressed records exceed the bound")
