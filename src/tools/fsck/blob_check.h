// SPDX-License-Identifier: BSD-3-Clause
//
// Blob items: byte strings in the item itself or in blocks of their own.
// Layout: docs/format.md, "Blob item".
#pragma once

#include "tools/fsck/pass.h"

#include <optional>
#include <string_view>

namespace daxpin::fsck {

struct Blob {
    std::string_view name; // in the item
    std::vector<std::byte> content;
};

// Checks a blob item, claims its blocks and reads its content; nothing if the item makes no
// sense or its content is lost, which is reported under `owner`.
std::optional<Blob> check_blob(Pass &pass, const std::string &owner,
                               std::span<const std::byte> value);

} // namespace daxpin::fsck
