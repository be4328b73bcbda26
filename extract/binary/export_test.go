// SPDX-License-Identifier: Apache-2.0

package binary

// Products gives the names of all products, and under which Bitnami knows them.
func Products() map[string]string {
	m := map[string]string{}
	for i := range products {
		m[products[i].name] = products[i].bitnami
	}
	for i := range texts {
		m[texts[i].name] = texts[i].bitnami
	}
	return m
}

// Stem gives what stays the same in a file name.
func Stem(name string) string { return stem(name) }

// Chunk is how much of a file is read at once, bytes.
const Chunk = chunk
