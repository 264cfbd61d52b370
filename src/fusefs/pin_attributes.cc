// SPDX-License-Identifier: BSD-3-Clause
#include "fusefs/pin_attributes.h"

#include <fmt/format.h>
#include <iterator>

namespace daxpin::fusefs {
namespace {

constexpr std::string_view reserved_prefix = "user.daxpin.";
constexpr std::string_view pin_name = "user.daxpin.pin";
constexpr std::string_view extents_name = "user.daxpin.extents";
constexpr std::string_view status_name = "user.daxpin.status";
constexpr std::size_t text_bytes_max = 65536; // what the kernel takes

Result<void> without_descriptor(Result<void> done) {
    if (!done && done.code() == Errc::bad_handle)
        return Errc::access;
    return done;
}

Result<void> check_settable(std::string_view name) {
    if (name == extents_name || name == status_name)
        return Errc::not_permitted;
    if (name != pin_name)
        return Errc::invalid;
    return {};
}

Result<void> pin(volume::Volume &volume, const volume::Caller &caller, InodeNumber inode) {
    volume::PinRequest request;
    request.prepare = true;
    return without_descriptor(volume.pin(caller, inode, request));
}

Result<void> unpin(volume::Volume &volume, const volume::Caller &caller, InodeNumber inode) {
    return without_descriptor(volume.unpin(caller, inode, {}, 0));
}

} // namespace

bool is_pin_attribute(std::string_view name) {
    return name.starts_with(reserved_prefix);
}

Result<std::string> extents_text(const std::vector<volume::ExtentInfo> &extents) {
    std::string text;
    for (const volume::ExtentInfo &extent : extents) {
        fmt::format_to(std::back_inserter(text), "{} {} {} {}{}\n", extent.file_offset,
                       extent.length, extent.device, extent.device_offset,
                       extent.unwritten ? " unwritten" : "");
        if (text.size() > text_bytes_max)
            return Errc::too_big;
    }
    return text;
}

std::string status_text(const volume::PinStatus &status) {
    const char *pinned = status.whole ? "whole" : status.pinned ? "partial" : "no";
    std::string text = fmt::format(
        "pinned {}\npinned_bytes {}\nleases {}\nasked_back {}\ngeneration {}\ndirect {}\n"
        "read_only {}\nprepare_done {}\nprepare_total {}\n",
        pinned, status.pinned_bytes, status.lease_count, status.asked_back ? "yes" : "no",
        status.generation, status.direct ? "yes" : "no", status.read_only ? "yes" : "no",
        status.prepare_done, status.prepare_total);
    for (const auto &pin : status.pins)
        fmt::format_to(std::back_inserter(text), "pin {} {}\n", pin.first.bytes(),
                       pin.count.bytes());
    return text;
}

Result<std::string> get_pin_attribute(volume::Volume &volume, InodeNumber inode,
                                      std::string_view name) {
    if (name != pin_name && name != status_name && name != extents_name)
        return Errc::no_attribute;
    DAXPIN_TRY_ASSIGN(const auto attributes, volume.attributes(inode));
    if (!attributes.is_regular())
        return Errc::no_attribute;
    if (name == extents_name) {
        // So many lines do not fit, however short.
        DAXPIN_TRY_ASSIGN(const auto extents, volume.show_extents(inode, text_bytes_max / 10));
        return extents_text(extents);
    }
    DAXPIN_TRY_ASSIGN(const auto status, volume.pin_status(inode));
    if (name == status_name) {
        auto text = status_text(status);
        if (text.size() > text_bytes_max)
            return Errc::too_big;
        return text;
    }
    return std::string(status.whole ? "1" : status.pinned ? "partial" : "0");
}

Result<void> set_pin_attribute(volume::Volume &volume, const volume::Caller &caller,
                               InodeNumber inode, std::string_view name, std::string_view value) {
    DAXPIN_TRY(check_settable(name));
    if (value == "1")
        return pin(volume, caller, inode);
    if (value == "0")
        return unpin(volume, caller, inode);
    return Errc::invalid;
}

Result<void> remove_pin_attribute(volume::Volume &volume, const volume::Caller &caller,
                                  InodeNumber inode, std::string_view name) {
    DAXPIN_TRY(check_settable(name));
    return unpin(volume, caller, inode);
}

} // namespace daxpin::fusefs
