package config_test

import (
	"fmt"

	"nutmeg/internal/config"
)

func ExampleParse() {
	cfg, err := config.Parse("nutmeg.yml", []byte(`
alpha:
  listen: 127.0.0.1:22121
  redis: true
  timeout: 400
  servers:
    - 10.0.0.2:6379:1 cache10
    - 10.0.0.1:6379:1 cache2
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	pool := cfg.Pools[0]
	fmt.Println(pool.Name, pool.Protocol, pool.Listen.Address, pool.Timeout, pool.Routing.Distribution)
	for i, server := range pool.Servers {
		fmt.Println(i, server.Name, server.Address)
	}
	// Output:
	// alpha redis 127.0.0.1:22121 400ms ketama
	// 0 cache2 10.0.0.1:6379
	// 1 cache10 10.0.0.2:6379
}

func ExampleParse_faults() {
	_, err := config.Parse("nutmeg.yml", []byte(`
alpha:
  listen: 127.0.0.1:22121
  hash: fnv1a64
  servers:
    - 10.0.0.1:6379
`))
	fmt.Println(err)
	// Output:
	// nutmeg.yml:4:9: alpha.hash: "fnv1a64" is not a hash function; did you mean "fnv1a_64"?
	// nutmeg.yml:6:7: alpha.servers[0]: "10.0.0.1:6379" has no weight; write "10.0.0.1:6379:1"
}
