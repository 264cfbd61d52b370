// SPDX-License-Identifier: BSD-3-Clause
//
// Scenes: the volumes of which golden images are kept, and how each is made.
//
// Repeats itself exactly: one program, one set of bytes. Once an image is kept its scene is not
// changed any more: what a newer format can do gets a scene of its own.
#pragma once

#include "support/volume_fixture.h"

#include <string>

namespace daxpin::golden {

using Media = std::vector<std::shared_ptr<test::SimMedia>>;

struct Scene {
    const char *name;
    const char *about;
    unsigned data_devices;
    Media (*make)(const Scene &scene);
};

const std::vector<Scene> &scenes();

} // namespace daxpin::golden
