package manifest

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// Bounds of what is looked at. Teams publishes none that are as low; a package of a bot needs a few kilobytes.
const (
	maxPackage = 8 << 20  // the zip
	maxFile    = 2 << 20  // a file, unpacked
	maxTotal   = 16 << 20 // all files, unpacked
	maxFiles   = 200
	maxPath    = 2048 // bytes of a name; also the schema's limit on a path
)

// Validate checks an app package and returns what is wrong with it, or nothing when it can be uploaded. It
// stops at 100 faults. The rules, by the words in [Fault.Rule]:
//
//	size         the package, or a file in it, is larger than is looked at
//	zip          the zip cannot be read, is damaged, encrypted, or holds what is no plain file
//	path         a file's name leads out of the package or means different things to different systems
//	duplicate    a file, a member of an object or an element of an array is there twice
//	missing      a file that has to be there, or to which the manifest refers, is not
//	root         the manifest or an icon is not at the root of the zip
//	encoding     manifest.json is not UTF-8, or begins with a byte order mark
//	json         manifest.json is no JSON object
//	version      the version of the manifest is not one of those known, 1.19 to 1.25, or contradicts $schema
//	required, unknown, type, length, pattern, value, count
//	             the manifest's schema: a member that is absent, not known, of the wrong type, too long, of the wrong form,
//	             not one of the choices; an array with too many elements or too few
//	unchecked    the member is known to Teams, and this check knows nothing about its content
//	placeholder  a template was not filled in
//	text         a text is blank, begins or ends with blanks, or holds control characters
//	url          a URL is not an https one with a host
//	domain       a valid domain is not a host name
//	scope        bots, commands and the default scope contradict each other
//	permission   a resource-specific permission lacks what it needs
//	image        an icon is no PNG, or not of the size that Teams wants
//	white        the outline icon is not white on transparent
//
// The schema rules are those of the manifest's version in the Teams app manifest schema. The others are
// what Teams documents beside it, under "Teams app package" and "App manifest reference", and what a bot needs to be of any
// use. Texts, icons and the zip are looked at even if the manifest has faults.
func Validate(packed []byte) []Fault {
	var f faults
	files := unpack(packed, &f)
	if files == nil {
		return f.list
	}
	raw, ok := files[manifestName]
	if !ok {
		missingManifest(files, &f)
		return f.list
	}
	m := parseManifest(raw, &f)
	if m == nil {
		return f.list
	}
	checkSchema(m, &f)
	checkRules(m, &f)
	checkIcons(m, files, &f)
	return f.list
}

// unpack returns the files by name, without those that are at fault; nil when the zip cannot be read at all.
func unpack(packed []byte, f *faults) map[string][]byte {
	if len(packed) > maxPackage {
		f.add("package", ruleSize, "the package has %d bytes; at most %d are looked at", len(packed), maxPackage)
		return nil
	}
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		f.add("package", ruleZip, "this is no zip file, or it is cut off")
		return nil
	}
	if len(z.File) > maxFiles {
		f.add("package", ruleSize, "the package holds %d files; at most %d are looked at", len(z.File), maxFiles)
		return nil
	}
	files := make(map[string][]byte, len(z.File))
	folded := make(map[string]bool, len(z.File))
	total := 0
	for _, e := range z.File {
		field := fileField(e.Name)
		if why := badPath(e.Name); why != "" {
			f.add(field, rulePath, "the name of a file %s", why)
			continue
		}
		if strings.HasSuffix(e.Name, "/") {
			continue // a folder
		}
		fold := strings.ToLower(e.Name)
		if folded[fold] {
			f.add(field, ruleDuplicate, "the package holds this file twice; case does not tell names apart")
			continue
		}
		folded[fold] = true
		if data, ok := readEntry(e, min(maxFile, maxTotal-total), f); ok {
			total += len(data)
			files[e.Name] = data
		}
	}
	return files
}

// readEntry returns what e unpacks to, as long as it is at most so many bytes, whatever e says about its size.
func readEntry(e *zip.File, most int, f *faults) ([]byte, bool) {
	field := fileField(e.Name)
	switch {
	case e.Flags&1 != 0:
		f.add(field, ruleZip, "the file is encrypted")
		return nil, false
	case e.Mode().Type() != 0:
		f.add(field, ruleZip, "this is no plain file but a %s", kindOf(e.Mode()))
		return nil, false
	case e.Method != zip.Store && e.Method != zip.Deflate:
		f.add(field, ruleZip, "the file is compressed in a way that is not common: method %d", e.Method)
		return nil, false
	}
	r, err := e.Open()
	if err != nil {
		f.add(field, ruleZip, "the file cannot be unpacked")
		return nil, false
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	switch {
	case len(data) > most:
		f.add(field, ruleSize, "the file unpacks to more than is looked at: %d bytes a file, %d in all", maxFile, maxTotal)
		return nil, false
	case err != nil:
		f.add(field, ruleZip, "the file is damaged")
		return nil, false
	}
	return data, true
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m.IsDir():
		return "folder"
	}
	return "device"
}

// badPath says what is wrong with the name of a file in the zip, or nothing.
func badPath(name string) string {
	clean := strings.TrimSuffix(name, "/")
	switch {
	case clean == "":
		return "is empty"
	case len(name) > maxPath:
		return "is too long"
	case !utf8.ValidString(name) || !plain(name):
		return "is not UTF-8, or holds control characters"
	case strings.Contains(name, `\`):
		return `holds a backslash; folders are set off by /`
	case strings.HasPrefix(name, "/") || strings.Contains(name, ":"):
		return "is absolute; it has to be relative to the root of the package"
	case path.Clean(clean) != clean || clean == ".." || strings.HasPrefix(clean, "../"):
		return "leads through . or .. or an empty folder"
	}
	return ""
}

// missingManifest says why there is none.
func missingManifest(files map[string][]byte, f *faults) {
	found, depth := "", 0
	for name := range files {
		if !strings.EqualFold(path.Base(name), manifestName) {
			continue
		}
		if d := strings.Count(name, "/"); found == "" || d < depth || d == depth && name < found {
			found, depth = name, d
		}
	}
	switch {
	case found == "":
		f.add(manifestName, ruleMissing, "the package holds no manifest.json")
	case depth == 0:
		f.add(manifestName, ruleMissing, "the manifest has to be named manifest.json, in lower case, not %s", quote(found))
	default:
		f.add(fileField(found), ruleRoot, "the manifest has to be at the root of the zip; pack the files, not the folder they are in")
	}
}
