package main

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/status"
)

// series is what was measured of one RPC.
type series struct {
	took       []time.Duration
	errors     map[string]int
	firstError string
	fewest     int
	most       int
}

// recorder takes the measurements of one step from all its callers.
type recorder struct {
	lock  sync.Mutex
	order []string
	byRPC map[string]*series
}

func newRecorder() *recorder {
	return &recorder{byRPC: map[string]*series{}}
}

// add notes one call. The times of calls that failed are left out of the figures.
func (r *recorder) add(rpc string, took time.Duration, items int, err error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	each := r.byRPC[rpc]
	if each == nil {
		each = &series{errors: map[string]int{}, fewest: math.MaxInt}
		r.byRPC[rpc] = each
		r.order = append(r.order, rpc)
	}
	if err != nil {
		each.errors[status.Code(err).String()]++
		if each.firstError == "" {
			each.firstError = err.Error()
		}
		return
	}
	each.took = append(each.took, took)
	each.fewest = min(each.fewest, items)
	each.most = max(each.most, items)
}

// Result is a line of the output. Times are of calls that succeeded, in milliseconds.
type Result struct {
	Step           string         `json:"step"`
	RPC            string         `json:"rpc"`
	Callers        int            `json:"callers"`
	Calls          int            `json:"calls"`
	Errors         int            `json:"errors"`
	ErrorsByCode   map[string]int `json:"errorsByCode,omitempty"`
	FirstError     string         `json:"firstError,omitempty"`
	P50Ms          float64        `json:"p50Ms"`
	P90Ms          float64        `json:"p90Ms"`
	P99Ms          float64        `json:"p99Ms"`
	MeanMs         float64        `json:"meanMs"`
	MaxMs          float64        `json:"maxMs"`
	Seconds        float64        `json:"seconds"`
	CallsPerSecond float64        `json:"callsPerSecond"`
	// MinItems and MaxItems are the shortest and longest list that an answer held.
	MinItems int `json:"minItems"`
	MaxItems int `json:"maxItems"`
}

func (r *recorder) print(step Step, elapsed time.Duration) {
	r.lock.Lock()
	defer r.lock.Unlock()
	output := json.NewEncoder(os.Stdout)
	for _, rpc := range r.order {
		each := r.byRPC[rpc]
		slices.Sort(each.took)
		result := Result{
			Step: step.Name, RPC: rpc, Callers: step.Callers, Calls: len(each.took),
			FirstError: each.firstError, Seconds: round(elapsed.Seconds()),
		}
		for code, count := range each.errors {
			result.Errors += count
			if result.ErrorsByCode == nil {
				result.ErrorsByCode = map[string]int{}
			}
			result.ErrorsByCode[code] = count
		}
		if len(each.took) > 0 {
			var sum time.Duration
			for _, took := range each.took {
				sum += took
			}
			result.MeanMs = milliseconds(sum / time.Duration(len(each.took)))
			result.P50Ms = milliseconds(percentile(each.took, 0.50))
			result.P90Ms = milliseconds(percentile(each.took, 0.90))
			result.P99Ms = milliseconds(percentile(each.took, 0.99))
			result.MaxMs = milliseconds(each.took[len(each.took)-1])
			result.CallsPerSecond = round(float64(len(each.took)) / elapsed.Seconds())
			result.MinItems, result.MaxItems = each.fewest, each.most
		}
		output.Encode(result)
	}
}

// percentile is the nearest rank of sorted times.
func percentile(sorted []time.Duration, share float64) time.Duration {
	rank := int(math.Ceil(share*float64(len(sorted)))) - 1
	return sorted[max(rank, 0)]
}

func milliseconds(took time.Duration) float64 {
	return round(float64(took) / float64(time.Millisecond))
}

func round(value float64) float64 {
	return math.Round(value*1000) / 1000
}
