package artifacts

import (
	"slices"
	"strings"
)

// textual are the extensions, or whole names, of what MLflow calls plain text (get_text_extensions).
var textual = []string{
	"MLmodel", "cf", "cfg", "cnf", "conf", "csv", "err", "hocon", "ini", "ipynb", "js", "json", "log", "md",
	"mlproject", "prop", "properties", "py", "py3", "rst", "toml", "tsv", "txt", "xml", "yaml", "yml",
}

// types are those on which every release of Python agrees, and the lists of systems that it reads. What other
// files are called depends on both.
var types = map[string]string{
	"css":  "text/css",
	"gif":  "image/gif",
	"htm":  "text/html",
	"html": "text/html",
	"jpeg": "image/jpeg",
	"jpg":  "image/jpeg",
	"pdf":  "application/pdf",
	"png":  "image/png",
	"svg":  "image/svg+xml",
	"zip":  "application/zip",
}

// guessType says what type a file's name stands for (mime_type_utils._guess_mime_type), if that is known here.
func guessType(name string) (contentType string, known bool) {
	stem := strings.TrimLeft(name, ".") // os.path.splitext takes no leading dots for an extension's
	extension := name

	if dot := strings.LastIndexByte(stem, '.'); dot >= 0 {
		extension = stem[dot+1:]
	}

	if slices.Contains(textual, extension) {
		return "text/plain", true
	}

	contentType, known = types[extension]

	return contentType, known && extension != name
}
