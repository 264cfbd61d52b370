// SPDX-License-Identifier: BSD-3-Clause
#include "crash/image.h"

#include <iterator>

namespace daxpin::crash {

namespace {

// In the order of Start.
constexpr const char *start_names[] = {"fresh",       "dirty",       "lap",         "full",
                                       "nearly-full", "split-names", "split-files", "full-root",
                                       "two-devices", "known",       "crashed"};
static_assert(std::size(start_names) == std::size(all_starts));

} // namespace

const char *to_string(Start start) noexcept {
    return start_names[static_cast<std::size_t>(start)];
}

std::string to_string(const Image &image) {
    std::string text = to_string(image.start);
    if (image.wrap)
        text += "+wrap";
    if (image.domain != device::Domain::cache_line)
        text += std::string("+") + device::to_string(image.domain);
    return text;
}

std::optional<Image> parse_image(std::string_view text) {
    for (const auto domain :
         {device::Domain::cache_line, device::Domain::byte, device::Domain::page}) {
        for (const Image &image : all_images(domain)) {
            if (to_string(image) == text)
                return image;
        }
    }
    return {};
}

std::vector<Image> all_images(device::Domain domain) {
    std::vector<Image> images;
    for (const Start start : all_starts) {
        images.push_back({start, false, domain});
        images.push_back({start, true, domain});
    }
    return images;
}

} // namespace daxpin::crash
