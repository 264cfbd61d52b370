// SPDX-License-Identifier: BSD-3-Clause
#include "btree/fingers.h"

#include <algorithm>

namespace daxpin::btree {

Fingers &Fingers::mine() {
    thread_local Fingers fingers;
    return fingers;
}

std::optional<Finger> Fingers::find(const Shape &shape, Key key) {
    const auto found = std::ranges::find_if(fingers_, [&](const Finger &finger) {
        return finger.may_hold(key) && finger.holds_in(shape);
    });
    if (found == fingers_.end())
        return std::nullopt;
    std::rotate(fingers_.begin(), found, found + 1);
    return fingers_.front();
}

void Fingers::remember(const Finger &finger) {
    fingers_.back() = finger;
    std::rotate(fingers_.begin(), fingers_.end() - 1, fingers_.end());
}

} // namespace daxpin::btree
