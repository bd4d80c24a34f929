// Command cribench calls a CRI endpoint as a kubelet does and prints how long the calls took: one line
// of JSON for each step of a plan and each RPC in it.
//
// The plan comes as JSON on standard input (or from -plan FILE), or is made from flags:
//
//	cribench -endpoint unix:///run/x.sock -rpc ListPodSandbox,ListContainers -callers 10 -calls 500
//	cribench -endpoint unix:///run/x.sock -rpc ListPodSandbox -seconds 20 -every-ms 100
//
// It always ends: each call has a deadline and each step an end. SIGINT and SIGTERM end the step that
// runs; what was measured until then is printed.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Plan is what is called, one step after the other.
type Plan struct {
	Endpoint      string `json:"endpoint"`
	ImageEndpoint string `json:"imageEndpoint"`
	// TimeoutSeconds bounds one call. Default 120, the kubelet's.
	TimeoutSeconds float64 `json:"timeoutSeconds"`
	Steps          []Step  `json:"steps"`
}

// Step is one RPC, or one cycle of RPCs, called again and again.
type Step struct {
	// Name stands in the result. Default: RPC.
	Name string `json:"name"`
	// RPC is the name of an RPC that reads, or one of PodCycle, ContainerCycle, MakePods, RemovePods.
	RPC string `json:"rpc"`
	// Callers call at the same time, each on the same connection. Default 1.
	Callers int `json:"callers"`
	// Calls in all, by all callers together; for MakePods the number of pods. RemovePods removes all there are.
	Calls int `json:"calls"`
	// Seconds after which no call begins any more. With neither calls nor seconds: 10 seconds.
	Seconds float64 `json:"seconds"`
	// MaxSeconds ends the step, and the calls that run, at any rate. Default: 600.
	MaxSeconds float64 `json:"maxSeconds"`
	// EveryMs makes each caller begin a call at this pace instead of at once.
	EveryMs int `json:"everyMs"`
	// Warmup calls are made first and not counted.
	Warmup int `json:"warmup"`
	// IDs that the status calls and ExecSync go round. Default: what the endpoint lists when the step begins.
	IDs []string `json:"ids"`
	// Command of ExecSync. Default: true.
	Command []string `json:"command"`
	// Image, in ImageStatus and of the containers that are made. Default: of ImageStatus all that are listed, else busybox:1.36.
	Image string `json:"image"`
	// ContainersPerPod of MakePods. Default 1.
	ContainersPerPod *int `json:"containersPerPod"`
	// HostNetwork puts the pods that are made in the node's network.
	HostNetwork bool `json:"hostNetwork"`
	// LogDirectory, under which each pod that is made gets a folder. Default: no logs.
	LogDirectory string `json:"logDirectory"`
	// Runtime handler of the pods that are made.
	RuntimeHandler string `json:"runtimeHandler"`
	// Together runs these steps at the same time, in place of an RPC of its own.
	Together []Step `json:"together"`
}

func main() {
	plan, err := readPlan()
	if err != nil {
		fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	client, err := dial(plan)
	if err != nil {
		fail(err)
	}
	defer client.close()
	for _, step := range plan.Steps {
		if ctx.Err() != nil {
			break
		}
		if err := runStep(ctx, client, step); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "cribench:", err)
	os.Exit(1)
}

func readPlan() (*Plan, error) {
	endpoint := flag.String("endpoint", "", "CRI endpoint, such as unix:///run/docker-cri.sock; wins over the plan's")
	imageEndpoint := flag.String("image-endpoint", "", "endpoint of the ImageService; default: the same")
	file := flag.String("plan", "", "file with the plan; default: standard input, unless -rpc is given")
	rpcs := flag.String("rpc", "", "make the plan of these RPCs, separated by commas, one after the other")
	callers := flag.Int("callers", 1, "with -rpc: callers at the same time")
	calls := flag.Int("calls", 0, "with -rpc: calls in all")
	seconds := flag.Float64("seconds", 0, "with -rpc: seconds after which no call begins")
	everyMs := flag.Int("every-ms", 0, "with -rpc: milliseconds from one call of a caller to its next")
	warmup := flag.Int("warmup", 0, "with -rpc: calls that are not counted")
	together := flag.Bool("together", false, "with -rpc: all at the same time")
	flag.Parse()

	plan := &Plan{}
	if *rpcs == "" {
		if err := decodePlan(*file, plan); err != nil {
			return nil, err
		}
	} else {
		for _, rpc := range strings.Split(*rpcs, ",") {
			plan.Steps = append(plan.Steps, Step{
				RPC: rpc, Callers: *callers, Calls: *calls, Seconds: *seconds, EveryMs: *everyMs, Warmup: *warmup,
			})
		}
		if *together {
			plan.Steps = []Step{{Together: plan.Steps}}
		}
	}
	if *endpoint != "" {
		plan.Endpoint = *endpoint
	}
	if *imageEndpoint != "" {
		plan.ImageEndpoint = *imageEndpoint
	}
	if plan.ImageEndpoint == "" {
		plan.ImageEndpoint = plan.Endpoint
	}
	if plan.Endpoint == "" {
		return nil, fmt.Errorf("no endpoint: give -endpoint, or one in the plan")
	}
	if plan.TimeoutSeconds <= 0 {
		plan.TimeoutSeconds = 120
	}
	return plan, nil
}

func decodePlan(file string, plan *Plan) error {
	var source io.Reader = os.Stdin
	if file != "" && file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return err
		}
		defer opened.Close()
		source = opened
	}
	decoder := json.NewDecoder(source)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(plan); err != nil {
		return fmt.Errorf("the plan is not as it should be: %w", err)
	}
	return nil
}

func runStep(ctx context.Context, client *client, step Step) error {
	if len(step.Together) == 0 {
		return runOne(ctx, client, step)
	}
	var group sync.WaitGroup
	errs := make([]error, len(step.Together))
	for i, each := range step.Together {
		group.Add(1)
		go func() {
			defer group.Done()
			errs[i] = runStep(ctx, client, each)
		}()
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func runOne(ctx context.Context, client *client, step Step) error {
	if step.Name == "" {
		step.Name = step.RPC
	}
	if step.Callers <= 0 {
		step.Callers = 1
	}
	if step.Calls <= 0 && step.Seconds <= 0 {
		step.Seconds = 10
	}
	if step.MaxSeconds <= 0 {
		step.MaxSeconds = 600
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(step.MaxSeconds*float64(time.Second)))
	defer cancel()
	work, err := prepare(ctx, client, step)
	if err != nil {
		return fmt.Errorf("step %s: %w", step.Name, err)
	}
	if work.calls > 0 {
		step.Calls = work.calls
	}
	warm := newRecorder()
	for i := 0; i < step.Warmup && ctx.Err() == nil; i++ {
		work.call(ctx, warm, 0, i)
	}
	counted := newRecorder()
	begun := time.Now()
	repeat(ctx, step, func(caller, index int) { work.call(ctx, counted, caller, index) })
	elapsed := time.Since(begun)
	if work.finish != nil {
		// The step's own time may be over; what it made goes all the same.
		work.finish()
	}
	counted.print(step, elapsed)
	return nil
}

// repeat has the callers take their calls until there is none left, or time is up.
func repeat(ctx context.Context, step Step, call func(caller, index int)) {
	var group sync.WaitGroup
	var lock sync.Mutex
	next := 0
	end := time.Now().Add(time.Duration(step.Seconds * float64(time.Second)))
	take := func() (int, bool) {
		lock.Lock()
		defer lock.Unlock()
		if ctx.Err() != nil || (step.Calls > 0 && next >= step.Calls) || (step.Seconds > 0 && time.Now().After(end)) {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for caller := range step.Callers {
		group.Add(1)
		go func() {
			defer group.Done()
			var pace *time.Ticker
			if step.EveryMs > 0 {
				pace = time.NewTicker(time.Duration(step.EveryMs) * time.Millisecond)
				defer pace.Stop()
			}
			for index, ok := take(); ok; index, ok = take() {
				call(caller, index)
				if pace == nil {
					continue
				}
				select {
				case <-pace.C:
				case <-ctx.Done():
				}
			}
		}()
	}
	group.Wait()
}
