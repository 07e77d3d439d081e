package database

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

// ErrUnsupported is in the chain of an error about a URI or a setting that MLflow takes and that
// this package doesn't honour. The caller leaves such a database to MLflow's own server.
var ErrUnsupported = errors.New("not handled natively")

// ErrInvalid is in the chain of an error about a URI or a setting that nobody could use.
var ErrInvalid = errors.New("can't be used")

// invalidURI never shows a password.
func invalidURI(uri, format string, args ...any) error {
	return fmt.Errorf("the database URI %q %w: %s", Redact(uri), ErrInvalid, fmt.Sprintf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

// URI is a database URL as SQLAlchemy reads it (sqlalchemy.engine.make_url).
type URI struct {
	Dialect  string // MLflow's word for the database: sqlite, postgresql, mysql, mssql
	Driver   string // what follows "+", a Python package; "" when not spelled out
	Username string
	Password string
	Host     string // without the brackets of an IPv6 address
	Port     int    // 0 when not spelled out
	Database string // sqlite: the file
	Query    []Parameter
}

// Parameter is one key=value of a URI's query, decoded. A key may come more than once.
type Parameter struct {
	Key, Value string
}

const supportedEngines = "postgresql, mysql, sqlite, mssql"

var (
	// uriPattern is SQLAlchemy's own. Like there, what follows a match is ignored, and a raw "@"
	// ends the password.
	uriPattern = regexp.MustCompile(`^([\w+]+)://` +
		`(?:([^:/]*)(?::([^@]*))?@)?` +
		`(?:(?:\[([^/?]+)\]|([^/:?]+))?(?::([^/?]*))?)?` +
		`(?:/([^?]*))?` +
		`(?:\?(.*))?`)
	// schemePattern is what Python's urlparse takes for a scheme.
	schemePattern = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):`)
)

// ParseURI reads a database URL. Its errors are MLflow's (extract_db_type_from_uri) where MLflow
// refuses the URL, and never show a password.
func ParseURI(uri string) (*URI, error) {
	scheme := ""
	if m := schemePattern.FindStringSubmatch(uri); m != nil {
		scheme = strings.ToLower(m[1])
	}
	dialect, driver, _ := strings.Cut(scheme, "+")
	if strings.Contains(driver, "+") {
		return nil, contract.InvalidParameter("Invalid database URI: '%s'. Please refer to "+
			"https://mlflow.org/docs/latest/tracking.html#storage for format specifications.", Redact(uri))
	}
	switch dialect {
	case "postgresql", "mysql", "sqlite", "mssql":
	default:
		return nil, contract.InvalidParameter("Invalid database engine: '%s'. Supported database engines are %s",
			dialect, supportedEngines)
	}

	m := uriPattern.FindStringSubmatch(uri)
	if m == nil {
		return nil, invalidURI(uri, "it should look like dialect+driver://user:password@host:port/database")
	}
	if m[1] != scheme {
		return nil, invalidURI(uri, "write %q in lower case", m[1])
	}
	parsed := &URI{
		Dialect:  dialect,
		Driver:   driver,
		Username: unquote(m[2]),
		Password: unquote(m[3]),
		Host:     m[4] + m[5],
		Database: unquote(m[7]),
		Query:    parseQuery(m[8]),
	}
	if m[6] != "" {
		port, err := strconv.Atoi(m[6])
		if err != nil {
			return nil, invalidURI(uri, "the port isn't a number")
		}
		parsed.Port = port
	}

	return parsed, nil
}

// unquote decodes percent escapes as Python's urllib.parse.unquote: what isn't one stays.
func unquote(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	decoded := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				decoded = append(decoded, byte(b))
				i += 2

				continue
			}
		}
		decoded = append(decoded, s[i])
	}

	return strings.ToValidUTF8(string(decoded), "\uFFFD")
}

// parseQuery reads key=value pairs as Python's parse_qsl: pairs without a value are dropped.
func parseQuery(query string) []Parameter {
	var parameters []Parameter
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if value == "" {
			continue
		}
		parameters = append(parameters, Parameter{
			Key:   unquote(strings.ReplaceAll(key, "+", " ")),
			Value: unquote(strings.ReplaceAll(value, "+", " ")),
		})
	}

	return parameters
}

const mask = "***"

// String is the URI as it may be shown: passwords are masked.
func (u *URI) String() string {
	var b strings.Builder
	b.WriteString(u.Dialect)
	if u.Driver != "" {
		b.WriteString("+" + u.Driver)
	}
	b.WriteString("://")
	if u.Username != "" || u.Password != "" {
		b.WriteString(url.PathEscape(u.Username))
		if u.Password != "" {
			b.WriteString(":" + mask)
		}
		b.WriteString("@")
	}
	if strings.Contains(u.Host, ":") {
		b.WriteString("[" + u.Host + "]")
	} else {
		b.WriteString(u.Host)
	}
	if u.Port != 0 {
		b.WriteString(":" + strconv.Itoa(u.Port))
	}
	if u.Database != "" {
		b.WriteString("/" + u.Database)
	}
	separator := "?"
	for _, parameter := range u.Query {
		value := parameter.Value
		if isSecret(parameter.Key) {
			value = mask
		}
		b.WriteString(separator + parameter.Key + "=" + value)
		separator = "&"
	}

	return b.String()
}

func isSecret(key string) bool {
	key = strings.ToLower(key)

	return strings.Contains(key, "password") || strings.Contains(key, "passwd") || strings.Contains(key, "secret") ||
		key == "pwd" || key == "odbc_connect"
}

var (
	credentialsPattern = regexp.MustCompile(`://([^:/]*):.*@`)
	parameterPattern   = regexp.MustCompile(`([?&;])([^=&;]*)=([^&;]*)`)
)

// Redact masks the passwords in any text that looks like a URI, readable or not: for logs.
func Redact(uri string) string {
	uri = credentialsPattern.ReplaceAllString(uri, "://$1:"+mask+"@")

	return parameterPattern.ReplaceAllStringFunc(uri, func(pair string) string {
		key, _, _ := strings.Cut(pair[1:], "=")
		if isSecret(key) {
			return pair[:1] + key + "=" + mask
		}

		return pair
	})
}
