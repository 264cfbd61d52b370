// SPDX-License-Identifier: BSD-3-Clause
//
// What is done when metadata is found damaged: mount option errors=, daxpinfs(8).
#include "volume/engine.h"

namespace daxpin::volume {

void Engine::note_failure(const Error &error) {
    if (error.code != Errc::corrupt)
        return;
    // Nothing that is still on its way in is let in; what is on its way out commits, as it only
    // stores what it has verified.
    if (options.errors != OnDamage::go_on)
        read_only_.store(true);
    DamageReport first;
    std::string text = describe(error);
    {
        const MutexLock lock(damage_mutex_);
        if (damage_.count++ == 0)
            damage_.first = std::move(text);
        if (damage_.count > 1)
            return;
        first = damage_;
    }
    if (options.on_damage)
        options.on_damage(first);
}

DamageReport Engine::damage() const {
    const MutexLock lock(damage_mutex_);
    return damage_;
}

void Volume::note_failure(const Error &error) {
    engine_->note_failure(error);
}

DamageReport Volume::damage() const {
    return engine_->damage();
}

} // namespace daxpin::volume
