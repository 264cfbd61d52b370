// SPDX-License-Identifier: BSD-3-Clause
//
// The workloads of ACE, the generator of CrashMonkey, with the sets that Chipmunk uses for
// persistent-memory filesystems (utsaslab/chipmunk, ace.py --test-type pm): 56 operations; every
// sequence of one and of two, and every sequence of three of the 37 that write, link, unlink or
// rename. What an operation needs is made before it, without being crashed: parents, files,
// bytes to overwrite; what is in its way is removed. An operation that is still refused (a
// directory onto one that is not empty) stays: refusals must change nothing.
//
// The crash points of a sequence are those of its last operation: those of the operations before
// it belong to the shorter sequences. "remove", the same call as unlink here, goes on until the
// deletion in the background has ended.
#pragma once

#include "crash/workloads.h"

namespace daxpin::crash {

inline constexpr std::size_t ace_length_max = 3;

// Numbers of operations in the table of 56.
using AceSequence = std::vector<std::size_t>;

std::size_t ace_operation_count();
// Those that go on to a third operation.
bool is_ace_core(std::size_t operation);

// "ace.write-foo-append.rename-A-B"
std::string ace_name(const AceSequence &sequence);
Workload ace_workload(const AceSequence &sequence);

// The sequences that have one operation more; none if `prefix` is complete.
std::vector<AceSequence> ace_branches(const AceSequence &prefix);

// Every sequence of `length` operations that has branches.
std::vector<AceSequence> ace_prefixes(std::size_t length);

} // namespace daxpin::crash
