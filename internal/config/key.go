package config

import (
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

// key is one key of a mapping that is read into a T, which is Pool or Global.
type key[T any] struct {
	name string
	// read stores the value n in to, or reports why it cannot and leaves to as it is.
	read func(r *reader, path string, n *yaml.Node, to *T)
	// show returns the value as a file would hold it. nil = it is no single value.
	show func(*T) string
}

func integerKey[T any](name string, b bounds, field func(*T) *int) key[T] {
	return numberKey(name, b, "", field)
}

func percentKey[T any](name string, field func(*T) *int) key[T] {
	return numberKey(name, bounds{high: 100}, " percent", field)
}

// numberKey is a number whose unit, if it has one, starts with a space.
func numberKey[T any](name string, b bounds, unit string, field func(*T) *int) key[T] {
	return key[T]{
		name: name,
		read: func(r *reader, path string, n *yaml.Node, to *T) { r.integer(path, n, b, unit, field(to)) },
		show: func(of *T) string { return strconv.Itoa(*field(of)) },
	}
}

func booleanKey[T any](name string, field func(*T) *bool) key[T] {
	return key[T]{
		name: name,
		read: func(r *reader, path string, n *yaml.Node, to *T) { r.boolean(path, n, field(to)) },
		show: func(of *T) string { return strconv.FormatBool(*field(of)) },
	}
}

func millisecondsKey[T any](name string, b bounds, field func(*T) *time.Duration) key[T] {
	return key[T]{
		name: name,
		read: func(r *reader, path string, n *yaml.Node, to *T) { r.milliseconds(path, n, b, field(to)) },
		show: func(of *T) string { return strconv.FormatInt(field(of).Milliseconds(), 10) },
	}
}

func sizeKey[T any, Bytes int | int64](name string, b bounds, field func(*T) *Bytes) key[T] {
	return key[T]{
		name: name,
		read: func(r *reader, path string, n *yaml.Node, to *T) {
			size := int64(*field(to))
			r.size(path, n, b, &size)
			*field(to) = Bytes(size)
		},
		show: func(of *T) string { return formatSize(int64(*field(of))) },
	}
}

// keyIndex returns the position of the key called name, or -1.
func keyIndex[T any](keys []key[T], name string) int {
	return slices.IndexFunc(keys, func(k key[T]) bool { return k.name == name })
}

// keyNames returns the names of keys in their order.
func keyNames[T any](keys []key[T]) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}
