package merge

import (
	"math"
	"strconv"
	"strings"
)

// infoRule makes one value of a field's values; ok is false if it cannot.
type infoRule func(values []string) (value string, ok bool)

// infoRules are those of single fields.
var infoRules = map[string]infoRule{
	"server_time_usec":  infoLeast,
	"uptime_in_seconds": infoLeast,
	"uptime_in_days":    infoLeast,
	"io_threads_active": infoGreatest,

	"client_recent_max_input_buffer":  infoGreatest,
	"client_recent_max_output_buffer": infoGreatest,

	"total_system_memory":      infoNoRule,
	"number_of_cached_scripts": infoGreatest,
	"number_of_functions":      infoGreatest,
	"number_of_libraries":      infoGreatest,
	"active_defrag_running":    infoGreatest,
	"maxmemory":                infoLimit,

	"loading":                           infoGreatest,
	"async_loading":                     infoGreatest,
	"loading_start_time":                infoLeast,
	"loading_total_bytes":               infoSum,
	"loading_loaded_bytes":              infoSum,
	"loading_loaded_perc":               infoLeast,
	"loading_eta_seconds":               infoGreatest,
	"current_cow_peak":                  infoSum,
	"current_cow_size":                  infoSum,
	"current_cow_size_age":              infoGreatest,
	"current_fork_perc":                 infoGreatest,
	"current_save_keys_processed":       infoSum,
	"current_save_keys_total":           infoSum,
	"rdb_changes_since_last_save":       infoSum,
	"rdb_bgsave_in_progress":            infoGreatest,
	"rdb_last_save_time":                infoLeast,
	"rdb_last_bgsave_status":            infoWorst("ok"),
	"rdb_last_bgsave_time_sec":          infoGreatest,
	"rdb_current_bgsave_time_sec":       infoGreatest,
	"rdb_saves":                         infoSum,
	"rdb_last_cow_size":                 infoSum,
	"rdb_last_load_keys_expired":        infoSum,
	"rdb_last_load_keys_loaded":         infoSum,
	"aof_enabled":                       infoLeast,
	"aof_rewrite_in_progress":           infoGreatest,
	"aof_rewrite_scheduled":             infoGreatest,
	"aof_last_rewrite_time_sec":         infoGreatest,
	"aof_current_rewrite_time_sec":      infoGreatest,
	"aof_last_bgrewrite_status":         infoWorst("ok"),
	"aof_rewrites":                      infoSum,
	"aof_rewrites_consecutive_failures": infoGreatest,
	"aof_last_write_status":             infoWorst("ok"),
	"aof_last_cow_size":                 infoSum,
	"aof_current_size":                  infoSum,
	"aof_base_size":                     infoSum,
	"aof_pending_rewrite":               infoGreatest,
	"aof_buffer_length":                 infoSum,
	"aof_pending_bio_fsync":             infoSum,
	"aof_delayed_fsync":                 infoSum,
	"module_fork_in_progress":           infoGreatest,
	"module_fork_last_cow_size":         infoSum,

	"expired_stale_perc":             infoGreatest,
	"current_eviction_exceeded_time": infoGreatest,
	"latest_fork_usec":               infoGreatest,
	"current_active_defrag_time":     infoGreatest,
	"pubsub_patterns":                infoGreatest, // each is on every server

	"connected_slaves":               infoSum,
	"master_link_status":             infoWorst("up"),
	"master_link_down_since_seconds": infoGreatest,
	"master_last_io_seconds_ago":     infoGreatest,
	"master_sync_in_progress":        infoGreatest,
	"repl_backlog_active":            infoGreatest,

	"cluster_enabled": infoGreatest,
}

// infoRuleOf is the rule of a field: its own, or that of its section.
func infoRuleOf(section, name string) infoRule {
	if rule := infoRules[name]; rule != nil {
		return rule
	}
	switch section {
	case "Commandstats", "Errorstats", "Keyspace":
		return infoPairs
	case "Latencystats":
		return infoPercentiles
	case "Clients", "Memory", "Stats", "CPU":
		if strings.HasSuffix(name, "_ratio") || strings.HasSuffix(name, "_perc") {
			return infoGreatest // the worst server's: that of all together does not follow from them
		}
		return infoSum
	}
	return infoNoRule
}

func infoNoRule([]string) (string, bool) { return "", false }

// infoSame is what is shown without a rule: the value that all servers have.
func infoSame(values []string, servers int) (string, bool) {
	for _, v := range values {
		if v != values[0] {
			return "", false
		}
	}
	return values[0], len(values) == servers
}

// infoSum adds up numbers, with as many decimals as the most exact of them has.
func infoSum(values []string) (string, bool) {
	var sum int64
	var decimal float64
	decimals := 0
	for _, v := range values {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			var ok bool
			if sum, ok = add(sum, n); !ok {
				return "", false
			}
			continue
		}
		f, err := strconv.ParseFloat(v, 64)
		_, fraction, ok := strings.Cut(v, ".")
		if err != nil || !ok || math.IsInf(f, 0) || math.IsNaN(f) {
			return "", false
		}
		decimal += f
		decimals = max(decimals, len(fraction))
	}
	if decimals == 0 {
		return strconv.FormatInt(sum, 10), true
	}
	return strconv.FormatFloat(decimal+float64(sum), 'f', min(decimals, 9), 64), true
}

func infoLeast(values []string) (string, bool) {
	return infoBest(values, func(a, b float64) bool { return a < b })
}

func infoGreatest(values []string) (string, bool) {
	return infoBest(values, func(a, b float64) bool { return a > b })
}

// infoBest is the value whose number is best, as its server wrote it.
func infoBest(values []string, better func(a, b float64) bool) (string, bool) {
	best, bestNumber := "", 0.0
	for i, v := range values {
		n, err := strconv.ParseFloat(strings.TrimSuffix(v, "%"), 64)
		if err != nil {
			return "", false
		}
		if i == 0 || better(n, bestNumber) {
			best, bestNumber = v, n
		}
	}
	return best, true
}

// infoLimit is the sum of limits of which 0 means none.
func infoLimit(values []string) (string, bool) {
	for _, v := range values {
		if v == "0" {
			return v, true
		}
	}
	return infoSum(values)
}

// infoWorst is the first value that is not good.
func infoWorst(good string) infoRule {
	return func(values []string) (string, bool) {
		for _, v := range values {
			if v != good {
				return v, true
			}
		}
		return good, true
	}
}

// infoPercentiles takes the greatest of each: those of all servers together are not above it.
func infoPercentiles(values []string) (string, bool) {
	return combinePairs(values, func(_ string, of *infoPair) (string, bool) { return infoGreatest(of.values) })
}

// infoPairs adds up what a field says in pairs, such as "keys=1,expires=0,avg_ttl=0".
func infoPairs(values []string) (string, bool) {
	return combinePairs(values, func(name string, of *infoPair) (string, bool) {
		switch name {
		case "usec_per_call":
			return quotient(of.all, "usec", "calls")
		case "avg_ttl":
			return weighted(of.all, "avg_ttl", "expires")
		}
		return infoSum(of.values)
	})
}

// infoPair is one name of a field in pairs, with its values.
type infoPair struct {
	values []string
	all    []map[string]string // the pairs of each server
}

func combinePairs(values []string, combine func(name string, of *infoPair) (string, bool)) (string, bool) {
	var names []string
	pairs := map[string]*infoPair{}
	var all []map[string]string
	for _, v := range values {
		one := map[string]string{}
		for pair := range strings.SplitSeq(v, ",") {
			name, value, ok := strings.Cut(pair, "=")
			if _, twice := one[name]; !ok || twice {
				return "", false
			}
			one[name] = value
			if pairs[name] == nil {
				pairs[name] = &infoPair{}
				names = append(names, name)
			}
			pairs[name].values = append(pairs[name].values, value)
		}
		all = append(all, one)
	}
	var out []string
	for _, name := range names {
		pairs[name].all = all
		value, ok := combine(name, pairs[name])
		if !ok {
			return "", false
		}
		out = append(out, name+"="+value)
	}
	return strings.Join(out, ","), true
}

// total adds up one name over all servers.
func total(all []map[string]string, name string) (float64, bool) {
	sum := 0.0
	for _, one := range all {
		n, err := strconv.ParseFloat(one[name], 64)
		if err != nil {
			return 0, false
		}
		sum += n
	}
	return sum, true
}

// quotient is the sum of one name by the sum of another.
func quotient(all []map[string]string, name, by string) (string, bool) {
	sum, ok := total(all, name)
	count, counted := total(all, by)
	if !ok || !counted {
		return "", false
	}
	if count == 0 {
		return "0.00", true
	}
	return strconv.FormatFloat(sum/count, 'f', 2, 64), true
}

// weighted is the average of averages: each counts as often as the number beside it says.
func weighted(all []map[string]string, name, by string) (string, bool) {
	sum, count := 0.0, 0.0
	for _, one := range all {
		n, err := strconv.ParseFloat(one[name], 64)
		weight, weightErr := strconv.ParseFloat(one[by], 64)
		if err != nil || weightErr != nil {
			return "", false
		}
		sum += n * weight
		count += weight
	}
	if count == 0 {
		return "0", true
	}
	return strconv.FormatFloat(math.Floor(sum/count), 'f', 0, 64), true
}
