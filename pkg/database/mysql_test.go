package database_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

func parseURI(t *testing.T, text string) *database.URI {
	t.Helper()
	parsed, err := database.ParseURI(text)
	require.NoError(t, err)

	return parsed
}

func TestMySQL(t *testing.T) {
	t.Run("OK/DeadlockIsRunAgainAndLogged", func(t *testing.T) {
		var log bytes.Buffer
		db, err := database.Open(t.Context(), databasetest.MySQL(t),
			database.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		deadlock(t, db)
		require.NoError(t, db.Close())
		require.Contains(t, log.String(), "a transaction is run again")
	})
	t.Run("OK/LockShowsWhatOthersCommitted", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.MySQL(t))
		prepareRuns(t, db, 1)
		_, suffix := db.Dialect().LockRows()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				assert.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
					var before string // a read that a snapshot would begin with
					if err := tx.QueryRow("SELECT status FROM runs WHERE run_uuid = ?", runName(0)).Scan(&before); err != nil {
						return err
					}
					if err := tx.QueryRow("SELECT run_uuid FROM runs WHERE run_uuid = ?"+suffix, runName(0)).Scan(&before); err != nil {
						return err
					}
					var end int64
					if err := tx.QueryRow("SELECT COALESCE(end_time, 0) FROM runs WHERE run_uuid = ?", runName(0)).Scan(&end); err != nil {
						return err
					}
					_, err := tx.Exec("UPDATE runs SET end_time = ? WHERE run_uuid = ?", end+1, runName(0))

					return err
				}))
			})
		}
		wg.Wait()
		var end int64
		require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
			return tx.QueryRow("SELECT end_time FROM runs WHERE run_uuid = ?", runName(0)).Scan(&end)
		}))
		require.EqualValues(t, 8, end)
	})
	t.Run("OK/FloatsComeBackAsTheyWere", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.MySQL(t))
		prepareRuns(t, db, 1)
		values := []float64{
			0.1, 1.0 / 3, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 2.2250738585072014e-308, 1e22, 123456789012345678, -0.5,
		}
		insert := db.Dialect().Insert("metrics", []string{"key", "value", "timestamp", "step", "is_nan", "run_uuid"}, 1)
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			for i, value := range values {
				if _, err := tx.Exec(insert, "m", value, 1, i, i%2 == 0, runName(0)); err != nil {
					return err
				}
			}

			return nil
		}))
		require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
			for i, value := range values {
				var found float64
				var isNaN bool
				if err := tx.QueryRow("SELECT value, is_nan FROM metrics WHERE step = ?", i).Scan(&found, &isNaN); err != nil {
					return err
				}
				assert.Equal(t, math.Float64bits(value), math.Float64bits(found), value)
				assert.Equal(t, i%2 == 0, isNaN)
			}

			return nil
		}))
	})
	t.Run("OK/ExplicitZero", func(t *testing.T) {
		for _, mode := range []string{"", "TRADITIONAL"} {
			db := databasetest.Open(t, databasetest.MySQL(t)+"?sql_mode="+mode)
			before, after := db.Dialect().ExplicitID("experiments")
			insert := db.Dialect().InsertIgnore("experiments", []string{"experiment_id", "name", "workspace"}, []string{"experiment_id"}, 1)
			var sqlMode [2]string
			require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
				mode := func(i int) error { return tx.QueryRow("SELECT @@SESSION.sql_mode").Scan(&sqlMode[i]) }
				if err := mode(0); err != nil {
					return err
				}
				for _, statement := range []string{before, insert, insert, after} {
					args := []any{0, "Default", "default"}
					if statement != insert {
						args = nil
					}
					if _, err := tx.Exec(statement, args...); err != nil {
						return err
					}
				}

				return mode(1)
			}))
			require.Equal(t, sqlMode[0], sqlMode[1])
			require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
				var id int

				return tx.QueryRow("SELECT experiment_id FROM experiments WHERE experiment_id = 0").Scan(&id)
			}))
		}
	})
	t.Run("OK/ServerDefaultsDontMatter", func(t *testing.T) {
		uri := databasetest.MySQL(t) + "?init_command=" + url.QueryEscape("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
		db := databasetest.Open(t, uri)
		require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
			for range 2 {
				var count int
				if err := tx.QueryRow("SELECT COUNT(*) FROM experiments").Scan(&count); err != nil {
					return err
				}
				assert.Zero(t, count)
				if err := db.Write(t.Context(), func(tx *database.Tx) error {
					return addExperiment(tx, strconv.Itoa(int(time.Now().UnixNano())))
				}); err != nil {
					return err
				}
			}

			return nil
		}))
	})
	t.Run("ErrConnectionLost", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.MySQL(t))
		err := db.Write(t.Context(), func(tx *database.Tx) error {
			if err := addExperiment(tx, "a"); err != nil {
				return err
			}
			var id int64
			if err := tx.QueryRow("SELECT CONNECTION_ID()").Scan(&id); err != nil {
				return err
			}
			_, err := tx.Exec("KILL " + strconv.FormatInt(id, 10))

			return errors.Join(err, addExperiment(tx, "b"))
		})
		requireCode(t, err, protos.ErrorCode_TEMPORARILY_UNAVAILABLE)
		require.Zero(t, countExperiments(t, db))
	})
	t.Run("ErrInfinity", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.MySQL(t))
		for _, read := range []func(tx *database.Tx) error{
			func(tx *database.Tx) error { return tx.QueryRow("SELECT ?", math.Inf(1)).Scan(new(float64)) },
			func(tx *database.Tx) error { _, err := tx.Exec("SELECT ?", math.Inf(1)); return err },
		} {
			err := db.Read(t.Context(), read)
			requireCode(t, err, protos.ErrorCode_BAD_REQUEST)
			require.Equal(t, "(pymysql.err.ProgrammingError) inf can not be used with MySQL", requireMLflow(t, err).Message)
		}
	})
	t.Run("ErrTooLong", func(t *testing.T) {
		db := databasetest.Open(t, databasetest.MySQL(t))
		err := db.Write(t.Context(), func(tx *database.Tx) error { return addExperiment(tx, strings.Repeat("n", 257)) })
		requireCode(t, err, protos.ErrorCode_BAD_REQUEST)
		require.Equal(t, `(pymysql.err.DataError) (1406, "Data too long for column 'name' at row 1")`, requireMLflow(t, err).Message)
	})
	t.Run("ErrRefused", func(t *testing.T) {
		uri, err := url.Parse(databasetest.MySQL(t))
		require.NoError(t, err)
		uri.Path = "/there_is_none"
		var log strings.Builder
		_, err = database.Open(t.Context(), uri.String(), database.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.ErrorIs(t, err, database.ErrUnreachable)
		require.ErrorContains(t, err, `: Unknown database 'there_is_none'`)
		require.Empty(t, log.String(), "it was asked again")
	})
}

func TestMySQLConfig(t *testing.T) {
	config := func(t *testing.T, text string) (*mysql.Config, []string) {
		t.Helper()
		config, statements, err := database.MySQLConfig(parseURI(t, text), database.Options{})
		require.NoError(t, err)

		return config, statements
	}
	t.Run("OK/Parts", func(t *testing.T) {
		c, statements := config(t, "mysql+pymysql://us%40er:p%40s%2Fs@db.example.com:3307/ml%20flow?charset=utf8mb4"+
			"&connect_timeout=7&read_timeout=8&write_timeout=9&sql_mode=ANSI_QUOTES&program_name=ml,flow&init_command=SET+a%3D1")
		require.Equal(t, []any{"us@er", "p@s/s", "tcp", "db.example.com:3307", "ml flow"},
			[]any{c.User, c.Passwd, c.Net, c.Addr, c.DBName})
		require.Equal(t, []time.Duration{7 * time.Second, 8 * time.Second, 9 * time.Second},
			[]time.Duration{c.Timeout, c.ReadTimeout, c.WriteTimeout})
		require.Equal(t, "program_name:ml flow", c.ConnectionAttributes)
		require.Equal(t, []string{
			"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET SESSION sql_mode = 'ANSI_QUOTES'", "SET a=1",
		}, statements)
		require.False(t, c.MultiStatements, "an injection would have more to say")
		require.False(t, c.ClientFoundRows)
	})
	t.Run("OK/Defaults", func(t *testing.T) {
		c, _ := config(t, "mysql+pymysql://u@/d")
		require.Equal(t, "localhost:3306", c.Addr)
		require.Equal(t, 10*time.Second, c.Timeout)
		require.True(t, c.AllowFallbackToPlaintext)
		require.True(t, c.TLS.InsecureSkipVerify)
	})
	t.Run("OK/Socket", func(t *testing.T) {
		c, _ := config(t, "mysql+pymysql://u@h/d?unix_socket=/run/x.sock")
		require.Equal(t, []string{"unix", "/run/x.sock"}, []string{c.Net, c.Addr})
	})
	t.Run("OK/TLS", func(t *testing.T) {
		ca := writeCertificate(t)
		for query, want := range map[string]struct{ required, chain, name bool }{
			"":             {},
			"ssl_ca=" + ca: {true, true, true},
			"ssl_ca=" + ca + "&ssl_check_hostname=false": {true, true, false},
			"ssl_verify_cert=true":                       {true, true, false},
			"ssl_verify_identity=1":                      {true, true, true},
			"ssl_verify_cert=false":                      {true, false, false},
		} {
			c, _ := config(t, "mysql+pymysql://u@h/d?"+query)
			require.Equal(t, want.required, !c.AllowFallbackToPlaintext, query)
			require.Equal(t, want.name, !c.TLS.InsecureSkipVerify, query)
			require.Equal(t, want.chain && !want.name, c.TLS.VerifyConnection != nil, query)
			require.Equal(t, "h", c.TLS.ServerName)
			require.Equal(t, strings.Contains(query, "ssl_ca"), c.TLS.RootCAs != nil, query)
		}
		for mode, want := range map[string]struct{ encrypted, required, verified bool }{
			"DISABLED": {}, "PREFERRED": {true, false, false}, "REQUIRED": {true, true, false},
			"VERIFY_CA": {true, true, false}, "VERIFY_IDENTITY": {true, true, true},
		} {
			c, _ := config(t, "mysql+mysqldb://u@h/d?ssl_mode="+mode)
			require.Equal(t, want.encrypted, c.TLS != nil, mode)
			require.Equal(t, want.required, want.encrypted && !c.AllowFallbackToPlaintext, mode)
			require.Equal(t, want.verified, want.encrypted && !c.TLS.InsecureSkipVerify, mode)
		}
		c, _ := config(t, "mysql+pymysql://u@h/d?ssl_disabled=true")
		require.Nil(t, c.TLS)
	})
	t.Run("OK/TLSOfEnvironment", func(t *testing.T) {
		options, err := database.OptionsFromEnvironment(func(name string) string {
			return map[string]string{"MLFLOW_MYSQL_SSL_CA": writeCertificate(t)}[name]
		})
		require.NoError(t, err)
		c, _, err := database.MySQLConfig(parseURI(t, "mysql+pymysql://u@h/d"), options)
		require.NoError(t, err)
		require.False(t, c.AllowFallbackToPlaintext)
		require.True(t, c.TLS.InsecureSkipVerify, "as PyMySQL has it")
	})
	t.Run("OK/ChainIsVerified", func(t *testing.T) {
		trusted, other := writeCertificate(t), writeCertificate(t)
		c, _ := config(t, "mysql+pymysql://u@h/d?ssl_check_hostname=no&ssl_ca="+trusted)
		require.NoError(t, c.TLS.VerifyConnection(tls.ConnectionState{PeerCertificates: readCertificate(t, trusted)}))
		require.Error(t, c.TLS.VerifyConnection(tls.ConnectionState{PeerCertificates: readCertificate(t, other)}))
	})
	for query, said := range map[string]string{
		"charset=latin1": "charset=latin1", "ssl_cipher=AES": `"ssl_cipher"`, "read_default_file=/etc/my.cnf": `"read_default_file"`,
		"ssl_mode=REQUIRED": `"ssl_mode"`, "connect_timeout=soon": "connect_timeout=soon", "compress=1": `"compress"`,
		"use_unicode=0": "use_unicode=0", "sql_mode=a'b": "sql_mode=a'b", "collation=x'y": "collation=x'y",
	} {
		t.Run("ErrUnsupported/"+query, func(t *testing.T) {
			_, _, err := database.MySQLConfig(parseURI(t, "mysql+pymysql://u:hunter2@h/d?"+query), database.Options{})
			require.ErrorIs(t, err, database.ErrUnsupported)
			require.ErrorContains(t, err, said)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	t.Run("ErrDriver", func(t *testing.T) {
		_, _, err := database.MySQLConfig(parseURI(t, "mysql+mysqlconnector://u@h/d"), database.Options{})
		require.ErrorIs(t, err, database.ErrUnsupported)
	})
	t.Run("ErrFile", func(t *testing.T) {
		_, _, err := database.MySQLConfig(parseURI(t, "mysql+pymysql://u@h/d?ssl_ca=/none.pem"), database.Options{})
		require.ErrorContains(t, err, "reading ssl_ca: open /none.pem")
	})
}

func TestMySQLServers(t *testing.T) {
	for version, native := range map[string]bool{
		"8.0.36": true, "8.4.2": true, "9.1.0": true, "8.0.35-0ubuntu0.22.04.1": true, "10.11.6-MariaDB-0+deb12u1": true,
		"5.5.5-10.6.12-MariaDB": true, "11.4.2-MariaDB": true, "5.7.44": false, "10.2.44-MariaDB": false, "strange": false,
	} {
		err := database.SupportsMySQL(map[string]string{"version": version, "log_bin": "OFF", "binlog_format": "STATEMENT"})
		if native {
			require.NoError(t, err, version)
		} else {
			require.ErrorIs(t, err, database.ErrUnsupported)
			require.ErrorContains(t, err, version)
		}
	}
	for format, native := range map[string]bool{"ROW": true, "MIXED": true, "STATEMENT": false} {
		err := database.SupportsMySQL(map[string]string{"version": "8.0.36", "log_bin": "ON", "binlog_format": format})
		require.Equal(t, !native, errors.Is(err, database.ErrUnsupported), format)
	}
}

// writeCertificate makes one that is its own authority.
func writeCertificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: t.Name()}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, writeFile(file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))))

	return file
}

func readCertificate(t *testing.T, file string) []*x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)

	return []*x509.Certificate{certificate}
}
