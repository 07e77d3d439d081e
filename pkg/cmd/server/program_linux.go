package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// mappedFile is the place of a mapping's file in its first line: after its addresses and rights, where it begins in the
// file, and the file's device and number.
const mappedFile = 5

// forgetStart has the kernel take back the memory that the program's own code and constants are in. To start touches
// most of them, since packages all over the program initialise themselves and the kernel brings whole neighbourhoods
// along: 29 of 31 MiB. To serve needs 20, which come back from the page cache when they are used.
func forgetStart() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}

	mappings, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer mappings.Close() //nolint:errcheck // it was read

	var start, end uint64 // of the mapping whose details are being read; 0 if it isn't to be looked at

	for lines := bufio.NewScanner(mappings); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}

		if from, to, isMapping := addresses(fields[0]); isMapping {
			start, end = 0, 0

			if len(fields) > mappedFile && fields[mappedFile] == program && !strings.Contains(fields[1], "w") {
				start, end = from, to
			}

			continue
		}

		// Where something was written before the mapping lost its right to be, the file doesn't have it.
		if start != 0 && fields[0] == "Anonymous:" && fields[1] == "0" {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, uintptr(start), uintptr(end-start), syscall.MADV_DONTNEED)
		}
	}
}

// addresses reads the first field of a mapping's first line; those of its other lines end in a colon.
func addresses(field string) (start, end uint64, ok bool) {
	from, to, ok := strings.Cut(field, "-")
	if !ok {
		return 0, 0, false
	}

	start, err := strconv.ParseUint(from, 16, 64)
	if err != nil {
		return 0, 0, false
	}

	end, err = strconv.ParseUint(to, 16, 64)

	return start, end, err == nil
}
