// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mkfs/report.h"

#include "base/size_text.h"
#include "base/uuid.h"
#include "tools/mkfs/content.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace daxpin::mkfs {

namespace {

std::string label_of(const format::Superblock &superblock) {
    const char *begin = superblock.text;
    return std::string(begin, std::find(begin, begin + sizeof superblock.text, '\0'));
}

const char *role_text(std::uint32_t role) {
    switch (static_cast<format::Role>(role)) {
    case format::Role::metadata:
        return "metadata";
    case format::Role::data:
        return "data";
    case format::Role::both:
        break;
    }
    return "metadata and data";
}

const char *role_word(std::uint32_t role) {
    return role == static_cast<std::uint32_t>(format::Role::both) ? "both" : role_text(role);
}

std::string device_line(unsigned index, const format::DeviceEntry &entry,
                        const device::DeviceInfo &info) {
    return "  device " + std::to_string(index) + ": " + info.path + ", " +
           size_text(entry.block_count * block_size) + ", " + role_text(entry.role) +
           ", mapping unit " + size_text(entry.mapping_unit) + ", domain " +
           device::to_string(info.domain) + (info.domain_assumed ? " (assumed)" : "") + "\n";
}

} // namespace

std::string text_report(const format::Superblock &superblock, const device::DeviceTable &devices) {
    const std::string label = label_of(superblock);
    std::string text = "daxpin volume " + uuid_text(superblock.volume_uuid);
    if (!label.empty())
        text += " '" + label + "'";
    text += "\n  format version " + std::to_string(superblock.format_version) + ", journal " +
            size_text(superblock.ring_blocks * block_size) + "\n";
    for (unsigned i = 0; i < devices.count(); ++i)
        text += device_line(i, superblock.devices[i], devices.at(i).info());
    return text;
}

std::string json_report(const format::Superblock &superblock, const device::DeviceTable &devices) {
    nlohmann::ordered_json report;
    report["uuid"] = uuid_text(superblock.volume_uuid);
    report["label"] = label_of(superblock);
    report["format_version"] = superblock.format_version.get();
    report["block_bytes"] = superblock.block_bytes.get();
    report["journal_bytes"] = superblock.ring_blocks * block_size;
    report["devices"] = nlohmann::ordered_json::array();
    for (unsigned i = 0; i < devices.count(); ++i) {
        const format::DeviceEntry &entry = superblock.devices[i];
        const device::DeviceInfo &info = devices.at(i).info();
        report["devices"].push_back({{"index", i},
                                     {"path", info.path},
                                     {"uuid", uuid_text(entry.device_uuid)},
                                     {"role", role_word(entry.role)},
                                     {"bytes", entry.block_count * block_size},
                                     {"mapping_unit", entry.mapping_unit.get()},
                                     {"domain", device::to_string(info.domain)},
                                     {"domain_assumed", info.domain_assumed}});
    }
    // A label need not be UTF-8.
    return report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string notes(const device::DeviceTable &devices) {
    std::string text;
    if (devices.count() == 1)
        text += "note: recommended: a separate device for data (--data); without one, whoever may "
                "map files can overwrite metadata\n";
    for (unsigned i = 0; i < devices.count(); ++i) {
        const device::DeviceInfo &info = devices.at(i).info();
        if (info.domain == device::Domain::none)
            text += "note: " + info.path + " is volatile memory: a power failure loses it\n";
        if (is_sparse(info.path))
            text += "note: " + info.path +
                    " is sparse: when its filesystem is full, what it stores next is lost (EIO); "
                    "--size makes a file without holes\n";
    }
    return text;
}

} // namespace daxpin::mkfs
