// SPDX-License-Identifier: BSD-3-Clause
//
// Unsafe shutdowns: power losses at which the platform did not flush what was on its way to the
// medium, though drain() had promised it. The device counts them; the volume remembers its count.
#include "volume/engine.h"

#include <fmt/format.h>

namespace daxpin::volume {

void Engine::note_shutdowns() {
    std::string risen;
    for (unsigned index = 0; index < devices.count(); ++index) {
        const device::DeviceInfo &info = devices.at(index).info();
        if (!info.unsafe_shutdowns)
            continue;
        const auto known = shutdowns->find(index);
        if (!known) {
            note_failure(known.error());
            continue;
        }
        const std::uint64_t told = *info.unsafe_shutdowns;
        if (*known == told)
            continue;
        if (*known && **known < told)
            risen += fmt::format("{}: {} unsafe shutdown(s) since the last mount; ", info.path,
                                 told - **known);
        remember_shutdowns(index, told);
    }
    if (!risen.empty())
        devices.bad_blocks().report(risen + "what was stored just before may be lost, though it "
                                            "was durable: run fsck.daxpinfs and check your data");
}

void Engine::remember_shutdowns(unsigned device, std::uint64_t count) {
    const auto guard = begin_change();
    if (!guard)
        return; // the next mount that writes tells it again
    const auto done = transact([&](Transaction &tx) { return shutdowns->put(tx, device, count); },
                               alloc::Purpose::rearrange); // a full volume remembers, too
    if (!done)
        note_failure(done.error());
}

} // namespace daxpin::volume
