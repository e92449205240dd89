package catalog

// AppendSnapshot appends the encoding of a whole image to dst.
func AppendSnapshot(dst []byte, im *Image) []byte { return appendSnapshot(dst, im) }

// LoadSnapshot returns the image that AppendSnapshot encoded. The result holds no reference to data.
// The error wraps ErrCorrupt, when a single bit is off, or ErrUnknownChange.
func LoadSnapshot(data []byte) (*Image, error) { return loadSnapshot(data) }
