// SPDX-License-Identifier: BSD-3-Clause
//
// Filesystem: what the operations work on, libfuse's user data.
#pragma once

#include "fusefs/background.h"
#include "fusefs/broker.h"
#include "fusefs/notifier.h"
#include "fusefs/options.h"
#include "fusefs/pollers.h"
#include "fusefs/receiver.h"
#include "volume/volume.h"

struct fuse_session;

namespace daxpin::fusefs {

struct Filesystem {
    volume::Volume &volume;
    Notifier &notifier;
    Background &background;
    const DaemonOptions &options;
    Broker *broker = nullptr;        // dax=broker
    Pollers *pollers = nullptr;      // of a mount
    fuse_session *session = nullptr; // the same
    Receiver receiver{options.stay_awake,
                      active_threads(options, volume.devices().metadata().info().domain)};
};

// How long the kernel may rely on what it was told about names and attributes: as long as it
// likes, the daemon alone changes them and says so. Seconds.
inline constexpr double cache_timeout = 365.0 * 24 * 3600;

// But not about a directory's attributes: docs/design/0004-directory-attributes.md.
inline double attribute_timeout(const volume::Attributes &attributes) {
    return attributes.is_directory() ? 1.0 : cache_timeout;
}

} // namespace daxpin::fusefs
