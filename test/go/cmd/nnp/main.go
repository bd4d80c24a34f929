// Command nnp prints its effective user. Its image has it setuid root: the user tells whether the
// runtime let the bit take effect.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Printf("Effective uid: %d\n", os.Geteuid())
}
