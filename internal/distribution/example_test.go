package distribution_test

import (
	"fmt"

	"nutmeg/internal/distribution"
)

// When a server dies its keys move to others, and theirs stay.
func ExampleNew() {
	servers := []distribution.Server{{Name: "s1", Weight: 1}, {Name: "s2", Weight: 1}, {Name: "s3", Weight: 1}}
	all, _ := distribution.New("ketama", servers, nil)
	two, _ := distribution.New("ketama", servers, []bool{true, false, true})
	for _, hash := range []uint32{0x10000000, 0x40000000, 0x90000000, 0xe0000000} {
		fmt.Println(servers[all.Locate(hash)].Name, "->", servers[two.Locate(hash)].Name)
	}
	// Output:
	// s2 -> s3
	// s1 -> s1
	// s1 -> s1
	// s2 -> s3
}
