# SPDX-License-Identifier: GPL-2.0
#
# The code blocks of the doc comments as one KUnit suite: what is documented
# compiles and runs.  rustdoc cannot do it, as it takes the crate from outside,
# where nothing of it is visible.
#
# usage: awk -v src=DIR/ -f examples.awk FILE...
#
# A block is a function that returns Result.  "```no_run" is compiled only,
# "```text" is no code.

function stop(message)
{
	print message > "/dev/stderr"
	failed = 1
	exit 1
}

function unclosed()
{
	if (in_block)
		stop(opened ": the block has no end")
}

BEGIN {
	print "#[kunit_tests(dup_mmap_examples)]"
	print "mod tests {"
	print "    use kernel::prelude::*;"
}

FNR == 1 {
	unclosed()
	file = FILENAME
	if (index(file, src) == 1)
		file = substr(file, length(src) + 1)
	name = file
	sub(/\.rs$/, "", name)
	gsub(/[^a-z0-9]/, "_", name)
}

!match($0, /^ *\/\/[\/!]/) { unclosed(); next }

{ line = substr($0, RSTART + RLENGTH) }

line ~ /^ ```/ && in_block {
	if (in_block != "text")
		print "        Ok(())\n    }"
	in_block = ""
	next
}

line ~ /^ ```/ {
	in_block = substr(line, 5)
	opened = FILENAME ":" FNR
	if (in_block == "")
		in_block = "run"
	if (in_block == "text")
		next
	if (in_block != "run" && in_block != "no_run")
		stop(opened ": what is \"" in_block "\"?")
	printf "\n    // %s:%d\n", file, FNR
	if (in_block == "run")
		print "    #[test]"
	else
		print "    #[expect(dead_code)]"
	printf "    fn %s_line_%d() -> Result {\n", name, FNR
	next
}

in_block && in_block != "text" {
	sub(/^ /, "", line)
	# Lines that a reader need not see.
	sub(/^ *# /, "", line)
	print "        " line
}

END {
	if (failed)
		exit 1
	unclosed()
	print "}"
}
