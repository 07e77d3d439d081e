package webhooks

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Fernet token is, in URL-safe base64: a version byte, eight bytes of time, the initialisation
// vector, AES-128-CBC of the padded text, and HMAC-SHA256 of all before it
// (https://github.com/fernet/spec). Go's own cryptography has all of it, and no library that is
// still looked after adds to that.
const (
	fernetVersion = 0x80
	fernetHalf    = 16 // bytes of the signing key, and of the encryption key
	fernetHeader  = 1 + 8
)

var (
	// errKey says what Python's Fernet says of such a key.
	errKey = errors.New("Fernet key must be 32 url-safe base64-encoded bytes.") //nolint:staticcheck // its words
	// errToken is a token that wasn't made with this key, or was changed.
	errToken = errors.New("the token doesn't belong to the key")
)

// fernet encrypts secrets as Python's cryptography.fernet.Fernet.
type fernet struct {
	signing []byte
	block   cipher.Block
}

// newFernet takes a key as Python spells it. Like Python, it doesn't mind characters that aren't
// base64, nor what follows the padding, nor which of the two alphabets is used.
func newFernet(key string) (*fernet, error) {
	key, _, _ = strings.Cut(key, "=")
	plain := strings.Map(func(char rune) rune {
		switch {
		case char == '+':
			return '-'
		case char == '/':
			return '_'
		case 'a' <= char && char <= 'z', 'A' <= char && char <= 'Z', '0' <= char && char <= '9', char == '-', char == '_':
			return char
		default:
			return -1
		}
	}, key)

	raw, err := base64.RawURLEncoding.DecodeString(plain)
	if err != nil || len(raw) != 2*fernetHalf {
		return nil, errKey
	}

	block, err := aes.NewCipher(raw[fernetHalf:])
	if err != nil {
		return nil, err
	}

	return &fernet{signing: raw[:fernetHalf], block: block}, nil
}

// GenerateKey makes a key for MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY (Fernet.generate_key).
func GenerateKey() string {
	key := make([]byte, 2*fernetHalf)
	_, _ = rand.Read(key) // never fails

	return base64.URLEncoding.EncodeToString(key)
}

func (f *fernet) encrypt(text string) string {
	padding := aes.BlockSize - len(text)%aes.BlockSize
	padded := append([]byte(text), strings.Repeat(string(rune(padding)), padding)...)
	vector := make([]byte, aes.BlockSize)
	_, _ = rand.Read(vector) // never fails

	cipher.NewCBCEncrypter(f.block, vector).CryptBlocks(padded, padded)

	token := []byte{fernetVersion}
	token = binary.BigEndian.AppendUint64(token, uint64(time.Now().Unix())) //nolint:gosec // after 1970
	token = append(token, vector...)
	token = append(token, padded...)

	return base64.URLEncoding.EncodeToString(append(token, f.sign(token)...))
}

// decrypt takes a token of any age, as MLflow does.
func (f *fernet) decrypt(token string) (string, error) {
	raw, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}

	size := len(raw) - fernetHeader - aes.BlockSize - sha256.Size
	if size < aes.BlockSize || size%aes.BlockSize != 0 || raw[0] != fernetVersion {
		return "", errToken
	}

	signed, signature := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	if !hmac.Equal(signature, f.sign(signed)) {
		return "", errToken
	}

	text := signed[fernetHeader+aes.BlockSize:]
	cipher.NewCBCDecrypter(f.block, signed[fernetHeader:fernetHeader+aes.BlockSize]).CryptBlocks(text, text)

	padding := int(text[len(text)-1])
	if padding == 0 || padding > aes.BlockSize {
		return "", errToken
	}

	return string(text[:len(text)-padding]), nil
}

func (f *fernet) sign(content []byte) []byte {
	mac := hmac.New(sha256.New, f.signing)
	mac.Write(content)

	return mac.Sum(nil)
}
