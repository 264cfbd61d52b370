// SPDX-License-Identifier: BSD-3-Clause
//
// A volume whose image somebody changed: mounting it, walking it, reading, writing and checking
// it must end in bounded time without a crash, whatever the bytes say.
//
// Input: a flag (bit 0: mend the checksums of the units that were changed, so that the damage is
// not found by them), then patches of 3 bytes of offset, 1 of length and that many bytes.
#include "base/checksum.h"
#include "support/volume_fixture.h"
#include "tools/fsck/check.h"

#include <algorithm>

namespace {

using namespace daxpin;
using test::SimMedia;

constexpr std::uint64_t image_bytes = std::uint64_t{1} << 20;
constexpr std::size_t patch_header = 4;

const volume::Caller root_user{};
constexpr InodeNumber root_dir{format::root_inode};

// A file of every kind, a deep directory, attributes: one of each thing there is to damage.
std::shared_ptr<SimMedia> make_image() {
    test::VolumeFixture fixture({.device_bytes = image_bytes});
    auto &volume = fixture.volume();
    const auto make = [&](const char *name, std::uint32_t mode, const char *target = "") {
        const auto made = volume.make_node(root_user, root_dir, name, {mode, 0, target});
        return made ? made->number : InodeNumber{};
    };
    const auto file = make("file", 0100644);
    make("link", 0120777, "file");
    make("pipe", 0010644);
    const auto folder = make("folder", 0040755);
    const std::vector<std::byte> data(20'000, std::byte{0x33});
    static_cast<void>(volume.write(file, 0, 4096 * 3, data));
    static_cast<void>(volume.set_xattr(root_user, file, "user.small", data, inode::XattrMode::any));
    static_cast<void>(volume.link(root_user, file, folder, "again"));
    for (int i = 0; i < 60; ++i)
        static_cast<void>(
            volume.make_node(root_user, folder, "n" + std::to_string(i), {0100600, 0, {}}));
    return fixture.all_media()[0]->clone(); // unclean: the ring holds records
}

void mend_checksum(std::span<std::byte> image, std::uint64_t offset) {
    const auto unit = image.subspan(offset / block_size * block_size, block_size);
    const le32 crc = crc32c(std::span<const std::byte>(unit).subspan(sizeof(le32)));
    std::memcpy(unit.data(), &crc, sizeof crc);
}

void patch(std::span<std::byte> image, std::span<const std::byte> input) {
    if (input.empty())
        return;
    const bool mend = (input[0] & std::byte{1}) != std::byte{0};
    input = input.subspan(1);
    while (input.size() > patch_header) {
        const auto at = [&](std::size_t i) { return std::to_integer<std::uint64_t>(input[i]); };
        const auto offset = (at(0) | at(1) << 8 | at(2) << 16) % image.size();
        const auto length = std::min(
            {at(3) + 1, std::uint64_t{input.size() - patch_header}, image.size() - offset});
        std::ranges::copy(input.subspan(patch_header, length),
                          image.begin() + static_cast<std::ptrdiff_t>(offset));
        if (mend)
            mend_checksum(image, offset);
        input = input.subspan(patch_header + length);
    }
}

void walk(volume::Volume &volume, InodeNumber directory, unsigned depth) {
    std::vector<InodeNumber> folders;
    static_cast<void>(volume.list(
        directory, 0, true, [&](const volume::ListedEntry &entry, const volume::Attributes *found) {
            if (found == nullptr || entry.cookie < 3)
                return true;
            static_cast<void>(volume.read(entry.number, 0, 0, 65536));
            static_cast<void>(volume.list_xattrs(entry.number));
            static_cast<void>(volume.read_link(entry.number));
            if (found->is_directory())
                folders.push_back(entry.number);
            return true;
        }));
    for (const auto folder : folders)
        if (depth < 8)
            walk(volume, folder, depth + 1);
}

void use(const std::shared_ptr<SimMedia> &media) {
    test::TestEnv env;
    auto opened = volume::Volume::open(test::open_table({media}), env, {});
    if (!opened)
        return;
    auto &volume = **opened;
    walk(volume, root_dir, 0);
    const std::vector<std::byte> data(9000, std::byte{0x44});
    if (const auto file = volume.lookup(root_dir, "file"))
        static_cast<void>(volume.write(file->number, 0, 100, data));
    for (int i = 0; i < 8; ++i)
        static_cast<void>(
            volume.make_node(root_user, root_dir, "new" + std::to_string(i), {0100600, 0, {}}));
    static_cast<void>(volume.unlink(root_user, root_dir, "file"));
    static_cast<void>(volume.unlink(root_user, root_dir, "link"));
    for (int i = 0; i < 50 && volume.background_step().value_or(false); ++i)
        ;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size) {
    static const auto pristine = make_image();
    const auto media = pristine->clone();
    patch(media->bytes(), std::as_bytes(std::span(bytes, size)));
    const auto report = fsck::check(test::open_table({media}));
    static_cast<void>(report);
    use(media);
    return 0;
}
