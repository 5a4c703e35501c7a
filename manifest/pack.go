package manifest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
)

// A file of the package.
type file struct {
	name string
	data []byte
}

// dosEpoch is 1 January 1980, the earliest day that a zip can name.
const dosEpoch = 1<<5 | 1

// pack returns a zip of files in their order. They are stored as they are, so that the bytes depend on
// nothing but the files, not even on the version of the compressor; there is little to gain from compressing them.
func pack(files []file) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		// Raw headers carry neither a time stamp in an extra field nor sizes behind the data, which some readers do not take.
		h := &zip.FileHeader{
			Name:               f.name,
			Method:             zip.Store,
			ModifiedDate:       dosEpoch, //nolint:staticcheck // Modified would add an extra field
			CRC32:              crc32.ChecksumIEEE(f.data),
			CompressedSize64:   uint64(len(f.data)),
			UncompressedSize64: uint64(len(f.data)),
			ReaderVersion:      20,
		}
		fw, err := w.CreateRaw(h)
		if err == nil {
			_, err = fw.Write(f.data)
		}
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return b.Bytes(), nil
}
