# SPDX-License-Identifier: GPL-2.0
"""Which regions of the source have run, for scripts/coverage.

usage: coverage_regions.py TOP LINUX OUT ARCH

OUT/coverage.out has the counters that are not 0, OUT/kernel/vmlinux and OUT/module the
tables that say what each counts. From these a profile is made, as clang's runtime would
write it, and llvm-cov says how often each region of the source has run. Of a function that
was compiled several times, generic or inlined, one copy is enough.

Each region that has not run needs a line in TOP/configs/coverage-exceptions, and each line
there such a region. Writes OUT/coverage.json. Prints a result for each file.
Last line: "N passed, N failed, N skipped".
"""

import collections
import json
import os
import re
import struct
import subprocess
import sys

EXCEPTIONS = "configs/coverage-exceptions"
# Of the kernel: all of these files, and in others what the patches add.
KERNEL_FILES = ("mm/dup_mmap.c", "mm/dup_mmap.h")
KERNEL_FUNCTIONS = {
    "mm/mmap.c": ("dup_mmap",),
    "mm/rmap.c": ("dup_mmap_unlink_anon_vmas", "__unlink_anon_vmas", "anon_batch_add_chain",
                  "anon_batch_put", "anon_batch_free_chains", "anon_batch_free_anon_vmas"),
    "mm/memory.c": ("dup_mmap_zap_vmas",),
    "mm/vma_init.c": ("vm_area_free_bulk", "vm_area_fini"),
}
# Tests that are compiled into the module.
TESTS = ("rust/kunit/", "rust/kunit.rs", "rust/mm/fixture.rs")

# No name for a line.
SHORT = 20

# What a profile begins with, and a record of a function, as LLVM 19 has them.
MAGIC = int.from_bytes(b"\xfflprofr\x81", "big")
VERSION = 10
RECORD = 64
R_X86_64_PC64 = 24


def fail(why):
    sys.exit(f"coverage: error: {why}")


class Elf:
    """The sections of an ELF file of 64 bits, little-endian."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        if self.data[:5] != b"\x7fELF\2":
            fail(f"{path} is no ELF file of 64 bits")
        self.path = path
        offset, = struct.unpack_from("<Q", self.data, 0x28)
        size, nr, names = struct.unpack_from("<HHH", self.data, 0x3A)
        headers = [struct.unpack_from("<IIQQQQIIQQ", self.data, offset + i * size) for i in range(nr)]
        start = headers[names][4]
        self.sections = []
        for name, kind, flags, addr, off, length, *_ in headers:
            text = self.data[start + name:self.data.index(b"\0", start + name)].decode()
            self.sections.append((text, kind, flags, addr, off, length))

    def find(self, name):
        for text, kind, flags, addr, off, length in self.sections:
            if text == name:
                return addr, self.data[off:off + length]
        fail(f"{self.path} has no section {name}")


def profile(elf, counters):
    """A profile, as clang's runtime would write it at the end of a program."""
    cnts, space = elf.find("__llvm_prf_cnts")
    data, records = elf.find("__llvm_prf_data")
    _, names = elf.find("__llvm_prf_names")
    if len(space) != 8 * len(counters):
        fail(f"{elf.path} has {len(space) // 8} counters, and {len(counters)} were counted; was it built anew since?")
    records = bytearray(records)
    if not cnts:
        # Not linked yet. A record has where its counters are, seen from itself.
        data, cnts = 0, 1 << 32
        _, relocations = elf.find(".rela__llvm_prf_data")
        for at, info, addend in struct.iter_unpack("<QQq", relocations):
            if info & 0xFFFFFFFF == R_X86_64_PC64:
                struct.pack_into("<q", records, at, cnts + addend - at)
    header = (MAGIC, VERSION, 0, len(records) // RECORD, 0, len(counters), 0, 0, 0, len(names),
              (cnts - data) & (1 << 64) - 1, 0, 0, 0, 0, 1)
    return struct.pack("<16Q", *header) + records + struct.pack(f"<{len(counters)}Q", *counters) + \
        names + bytes(-len(names) % 8)


def functions_of(path, counters, out):
    """Each function of a kernel or module: its name and {(file, begin, end): times}."""
    raw, merged = f"{out}/coverage.profraw", f"{out}/coverage.profdata"
    with open(raw, "wb") as f:
        f.write(profile(Elf(path), counters))
    subprocess.run(["llvm-profdata", "merge", "-o", merged, raw], check=True)
    done = subprocess.run(["llvm-cov", "export", "-format=text", f"-instr-profile={merged}", path],
                          check=True, capture_output=True, text=True)
    for function in json.loads(done.stdout)["data"][0]["functions"]:
        regions = collections.Counter()
        for line, column, end, end_column, times, file, _, kind in function["regions"]:
            # Of code; the rest is gaps, macros and what the preprocessor skips.
            if kind == 0:
                regions[os.path.normpath(function["filenames"][file]), (line, column), (end, end_column)] = times
        yield function["name"].rpartition(":")[2], regions


def read_counters(path):
    counters, ended = {}, False
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            m = re.fullmatch(r"(kernel|module) (has|\d+) (\d+)\s*", line)
            if m and m[2] == "has":
                counters[m[1]] = [0] * int(m[3])
            elif m and m[1] in counters and int(m[2]) < len(counters[m[1]]):
                counters[m[1]][int(m[2])] = int(m[3])
            ended |= line.strip() == "end of coverage"
    if not ended or not all(any(counters.get(who, ())) for who in ("kernel", "module")):
        fail(f"{path} does not say what has run")
    return counters


def name_in_module(path, function, top):
    name = os.path.relpath(path, top)
    if name.startswith(TESTS) or not name.startswith("rust/") or not os.path.exists(f"{top}/{name}"):
        return None
    return name


def name_in_kernel(path, function, linux):
    name = os.path.relpath(path, linux)
    if name in KERNEL_FILES or function in KERNEL_FUNCTIONS.get(name, ()):
        return name
    return None


def read_exceptions(path, arch):
    """{(file, text of the line): reason}. A section [ARCH ...] is for these architectures."""
    found, wanted, reason, is_comment = {}, True, "", False
    with open(path, encoding="utf-8") as f:
        for nr, line in enumerate(f, 1):
            line = line.rstrip("\n")
            m = re.fullmatch(r"\[([a-z0-9_ ]+)\]", line)
            if m:
                wanted = arch in m[1].split()
            elif line.startswith("# "):
                reason = f"{reason} {line[2:]}" if is_comment else line[2:]
            elif not line:
                reason = ""
            else:
                name, _, text = line.partition(": ")
                if not text or not reason:
                    fail(f"{path}:{nr}: say \"# reason\", and below it \"file: text of the line\"")
                if wanted:
                    found[name, text.strip()] = reason
            is_comment = line.startswith("# ")
    return found


def text_of(source, line):
    """What names a line: its text, and what is before it if that is as short as a brace."""
    text = source[line - 1].strip()
    while len(text) < SHORT and line > 1:
        line -= 1
        text = f"{source[line - 1].strip()} {text}".strip()
    return text


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    top, linux, out, arch = sys.argv[1:]
    counters = read_counters(f"{out}/coverage.out")
    exceptions = read_exceptions(f"{top}/{EXCEPTIONS}", arch)

    # {file: {(begin, end): times}}
    files = collections.defaultdict(collections.Counter)
    wanted = {function for functions in KERNEL_FUNCTIONS.values() for function in functions}
    for path, who, named, root in ((f"{out}/module/dup_mmap_recovery.ko", "module", name_in_module, top),
                                   (f"{out}/kernel/vmlinux", "kernel", name_in_kernel, linux)):
        for function, regions in functions_of(path, counters[who], out):
            wanted.discard(function)
            for (file, begin, end), times in regions.items():
                name = named(file, function, root)
                if name:
                    files[name][begin, end] += times
    if not any(name.startswith("rust/") for name in files) or "mm/dup_mmap.h" not in files:
        fail("there is nothing of the module, or of dup_mmap()")
    if wanted:
        fail(f"KERNEL_FUNCTIONS names what is not there: {', '.join(sorted(wanted))}")

    used, passed, failed, result = set(), 0, 0, {}
    total = [0, 0, 0]
    for name in sorted(files):
        root = top if name.startswith("rust/") else linux
        with open(f"{root}/{name}", encoding="utf-8") as f:
            source = f.read().splitlines()
        missing, excepted, lines = [], 0, {}
        for (begin, _), times in sorted(files[name].items()):
            hit, left, why = lines.get(begin[0], (0, 0, ""))
            text = text_of(source, begin[0])
            if not times:
                why = exceptions.get((name, text), "")
                if why:
                    used.add((name, text))
                    excepted += 1
                else:
                    missing.append(f"        {name}:{begin[0]}:{begin[1]}: {text}")
            lines[begin[0]] = (hit + bool(times), left + (not times), why)
        nr, hit = len(files[name]), sum(map(bool, files[name].values()))
        for i, n in enumerate((nr, hit, excepted)):
            total[i] += n
        result[name] = {"lines": lines, "source": source, "regions": nr, "reached": hit, "excepted": excepted}
        good = not missing
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok      ' if good else 'FAILED  '}{name}: {hit} of {nr} regions" +
              (f", {excepted} with a reason" if excepted else ""))
        print("\n".join(missing + [""]) if missing else "", end="")
    for name, text in exceptions:
        if (name, text) not in used:
            failed += 1
            print(f"FAILED  {EXCEPTIONS}: {name}: {text}: all of it runs, or it is not there: delete the line")
    with open(f"{out}/coverage.json", "w", encoding="utf-8") as f:
        json.dump(result, f)
    print(f"        {total[1]} of {total[0]} regions, {total[2]} with a reason")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
