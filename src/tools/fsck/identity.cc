// SPDX-License-Identifier: BSD-3-Clause
#include "tools/fsck/identity.h"

#include "tools/reader/copies.h"
#include "tools/reader/view.h"

#include <cstring>

namespace daxpin::fsck {
namespace {

using format::DeviceLabel;
using format::Superblock;
using reader::Copies;
using reader::CopyState;

template <typename T> bool same_bytes(const T &a, const T &b) {
    return std::memcmp(&a, &b, sizeof(T)) == 0;
}

// A copy of another version is no damage.
template <typename T> void offer_copy(const Copies<T> &copies, bool differ, unsigned device,
                                      Subject subject, Findings &findings) {
    const bool newer = copies.first.state == CopyState::other_version ||
                       copies.second.state == CopyState::other_version;
    const std::string text = std::string(to_string(subject)) + " copy of device " +
                             std::to_string(device) + " restored from the other one";
    if (newer || copies.best() == nullptr)
        return;
    if (differ)
        findings.fix(Stage::copies, subject, text,
                     FixCopies{device, subject == Subject::superblock});
    else if (!copies.first.valid() || !copies.second.valid())
        findings.safe_fix(Stage::copies, subject, text,
                          FixCopies{device, subject == Subject::superblock});
}

template <typename T> void check_copies(const Copies<T> &copies, unsigned device, Subject subject,
                                        bool may_write, Findings &findings) {
    const std::string name = std::string(to_string(subject)) + " copy of device " +
                             std::to_string(device) + " in block ";
    for (const auto *copy : {&copies.first, &copies.second})
        if (!copy->valid())
            findings.error(copy->state == CopyState::unreadable ? Subject::media : subject,
                           name + std::to_string(copy->block) + " " + to_string(copy->state));
    const bool differ = copies.first.valid() && copies.second.valid() &&
                        !same_bytes(copies.first.value, copies.second.value);
    if (differ)
        findings.error(subject, std::string("the two ") + to_string(subject) + "s differ (device " +
                                    std::to_string(device) + ")");
    if (may_write)
        offer_copy(copies, differ, device, subject, findings);
}

class TableCheck {
  public:
    TableCheck(const device::DeviceTable &devices, const Superblock &superblock, Findings &findings)
        : devices_(devices), superblock_(superblock), findings_(findings) {}

    bool check(unsigned index, const DeviceLabel *label) {
        const auto &entry = superblock_.devices[index];
        require(entry.role ==
                    static_cast<std::uint32_t>(format::role_of(index, superblock_.device_count)),
                index, "impossible role");
        require(format::is_mapping_unit(entry.mapping_unit), index,
                "the mapping unit is not a power of two from 4096 to 1 GiB");
        const bool long_enough = entry.block_count > 2 &&
                                 entry.block_count <= devices_.at(index).info().size / block_size;
        require(long_enough, index, "the device is shorter than the superblock says");
        if (label != nullptr)
            compare(index, *label);
        return long_enough;
    }

  private:
    void compare(unsigned index, const DeviceLabel &label) {
        const auto &entry = superblock_.devices[index];
        require(same_bytes(label.volume_uuid, superblock_.volume_uuid), index,
                "the label names another volume");
        require(same_bytes(label.device_uuid, entry.device_uuid), index,
                "the label's device UUID is not the superblock's");
        require(label.index == index, index, "the label says another index");
        require(label.device_count == superblock_.device_count, index,
                "the label says another number of devices");
        require(label.role == entry.role, index, "the label says another role");
        require(label.block_count == entry.block_count, index, "the label says another size");
        require(label.mapping_unit == entry.mapping_unit, index,
                "the label says another mapping unit");
    }

    void require(bool holds, unsigned index, const char *text) {
        if (holds)
            return;
        findings_.error(Subject::device_table, "device " + std::to_string(index) + ": " + text);
    }

    const device::DeviceTable &devices_;
    const Superblock &superblock_;
    Findings &findings_;
};

bool features_known(const Superblock &superblock, Findings &findings) {
    const std::uint64_t incompat = superblock.incompat & ~format::known_incompat;
    const std::uint64_t ro_compat = superblock.ro_compat & ~format::known_ro_compat;
    if (incompat != 0)
        findings.error(Subject::feature, "unknown incompatible features " +
                                             std::to_string(incompat) +
                                             ": use a newer fsck.daxpinfs");
    if (ro_compat != 0)
        findings.error(Subject::feature, "unknown read-only compatible features " +
                                             std::to_string(ro_compat) +
                                             ": use a newer fsck.daxpinfs");
    return incompat == 0 && ro_compat == 0;
}

} // namespace

std::optional<Superblock> check_identity(const device::DeviceTable &devices, Findings &findings) {
    std::vector<Copies<DeviceLabel>> labels;
    for (unsigned i = 0; i < devices.count(); ++i)
        labels.push_back(reader::read_labels(devices.at(i)));
    const auto superblocks = reader::read_superblocks(devices.metadata(), labels[0].best());
    const auto *superblock = superblocks.best();
    // Without a superblock nobody knows what else is on the volume.
    const bool may_write = superblock != nullptr && features_known(*superblock, findings);
    for (unsigned i = 0; i < devices.count(); ++i)
        check_copies(labels[i], i, Subject::label, may_write, findings);
    check_copies(superblocks, 0, Subject::superblock, may_write, findings);
    if (!may_write)
        return std::nullopt;

    const auto problems = reader::geometry_problems(*superblock, devices);
    for (const auto &problem : problems)
        findings.error(Subject::superblock, problem);
    if (superblock->device_count != devices.count())
        return std::nullopt;
    TableCheck table(devices, *superblock, findings);
    bool usable = problems.empty();
    for (unsigned i = 0; i < devices.count(); ++i)
        usable = table.check(i, labels[i].best()) && usable;
    return usable ? std::optional(*superblock) : std::nullopt;
}

} // namespace daxpin::fsck
