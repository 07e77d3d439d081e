package python

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"unicode/utf8"
)

// DecodeJSON decodes as json.loads does, keeping the order of members and the difference between
// whole and floating-point numbers. NaN and Infinity, which json.loads takes, are errors.
func DecodeJSON(data []byte) (Value, error) {
	if !utf8.Valid(data) {
		return nil, ErrSyntax
	}

	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()

	value, err := decodeNext(decoder)
	if err != nil {
		return nil, err
	}

	if decoder.More() || decoder.InputOffset() < int64(len(bytes.TrimRight(data, " \t\r\n"))) {
		return nil, ErrSyntax
	}

	return value, nil
}

func decodeNext(decoder *json.Decoder) (Value, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}

	switch v := token.(type) {
	case json.Number:
		return decodeNumber(v.String())
	case json.Delim:
		if v == '[' {
			return decodeArray(decoder)
		}

		return decodeObject(decoder)
	default:
		return v, nil
	}
}

func decodeNumber(text string) (Value, error) {
	if number, ok := new(big.Int).SetString(text, 10); ok {
		return number, nil
	}

	number, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return nil, fmt.Errorf("decode JSON number: %w", err)
	}

	return number, nil
}

func decodeArray(decoder *json.Decoder) (Value, error) {
	list := List{}

	for decoder.More() {
		member, err := decodeNext(decoder)
		if err != nil {
			return nil, err
		}

		list = append(list, member)
	}

	_, err := decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("decode JSON array: %w", err)
	}

	return list, nil
}

func decodeObject(decoder *json.Decoder) (Value, error) {
	dict := Dict{}
	places := map[string]int{}

	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("decode JSON object: %w", err)
		}

		member, err := decodeNext(decoder)
		if err != nil {
			return nil, err
		}

		name, _ := key.(string)
		if place, again := places[name]; again {
			dict[place].Value = member

			continue
		}

		places[name] = len(dict)
		dict = append(dict, Item{name, member})
	}

	_, err := decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("decode JSON object: %w", err)
	}

	return dict, nil
}
