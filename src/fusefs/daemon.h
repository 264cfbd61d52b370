// SPDX-License-Identifier: BSD-3-Clause
//
// The daemon's life: open the devices and the volume, mount, serve, close.
#pragma once

#include "fusefs/launcher.h"
#include "fusefs/options.h"

namespace daxpin::fusefs {

// Returns the exit status. Has told `reporter` whether the mount stands.
int serve(const DaemonOptions &options, Reporter &reporter);

} // namespace daxpin::fusefs
