// SPDX-License-Identifier: BSD-3-Clause
//
// The ioctls as the kernel passes them on: any number, any bytes, any sizes, from root or from a
// stranger, on files of every kind. Answers fit into the room there is for them, and the volume is
// sound afterwards.
//
// Input: messages of 72 bytes.
#include "fusefs/ioctls.h"
#include "fuzz/input.h"
#include "fuzz/mutate.h"
#include "support/volume_fixture.h"
#include "tools/fsck/check.h"
#include "wire/control.h"

#include <algorithm>
#include <daxpin/ioctl.h>
#include <iterator>
#include <linux/fs.h>

namespace {

using namespace daxpin;
using namespace daxpin::fusefs;

constexpr InodeNumber root{format::root_inode};
constexpr std::size_t payload_bytes = 64;
constexpr std::size_t room_max = std::max(sizeof(daxpin_extents), sizeof(daxpin_bad_blocks)) + 64;
constexpr std::size_t messages_max = 32;

// Bits of Message::flags.
constexpr std::uint8_t stranger = 1;
constexpr std::uint8_t other_in_size = 2;
constexpr std::uint8_t other_room = 4;
constexpr std::uint8_t known_lease = 8;    // the id and generation of the last lease granted
constexpr std::uint8_t small_numbers = 16; // offsets and lengths within the file
constexpr std::uint8_t clear_reserved = 32;
constexpr std::uint8_t number_as_given = 64;

struct Message {
    std::uint8_t command;
    std::uint8_t inode;
    std::uint8_t flags;
    std::uint8_t other_size;
    std::uint32_t number;
    std::uint8_t payload[payload_bytes];
};
static_assert(sizeof(Message) == 72);

constexpr unsigned commands[] = {
    DAXPIN_IOC_PIN,    DAXPIN_IOC_UNPIN,   DAXPIN_IOC_EXTEND,   DAXPIN_IOC_STATUS,
    DAXPIN_IOC_LEASE,  DAXPIN_IOC_RELEASE, DAXPIN_IOC_EXTENTS,  DAXPIN_IOC_DEVICE,
    DAXPIN_IOC_SYNC,   FS_IOC_GETFLAGS,    FS_IOC_SETFLAGS,     FS_IOC_FSGETXATTR,
    FS_IOC_FSSETXATTR, FS_IOC_GETVERSION,  wire::control_hello, wire::control_remount,
    DAXPIN_IOC_LEASES, DAXPIN_IOC_TICKET,  DAXPIN_IOC_FORGET,   DAXPIN_IOC_QUARANTINE,
    DAXPIN_IOC_BREAK,  DAXPIN_IOC_DAMAGE,  DAXPIN_IOC_VOLUME,   DAXPIN_IOC_BAD_BLOCKS,
};

class Bench {
  public:
    Bench() {
        for (const char *name : {"empty", "small", "sparse"})
            add(make(name, 0100644));
        write(1, 0, 8192);
        write(2, 1 << 20, 5000);
        files_.push_back({make("folder", 0040755), 0});
        files_.push_back({root, 0});
    }
    ~Bench() {
        for (const auto &file : files_)
            if (file.handle != 0)
                fixture_->release(file.number, file.handle);
    }
    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    void send(Message message) {
        const auto &file = files_[message.inode % files_.size()];
        IoctlRequest request;
        request.inode = file.number;
        request.handle = file.handle;
        request.command = (message.flags & number_as_given) != 0
                              ? message.number
                              : commands[message.command % std::size(commands)];
        prepare(request.command, message);
        std::vector<std::byte> in(size_in(request.command, message));
        std::copy_n(message.payload, std::min(in.size(), payload_bytes),
                    reinterpret_cast<unsigned char *>(in.data()));
        request.in = in;
        request.out_bytes = room(request.command, message);
        take(request, (message.flags & stranger) != 0);
    }

    void finish() {
        static_cast<void>(fixture_->set_read_only(false));
        for (auto &file : files_)
            if (file.handle != 0)
                fixture_->release(file.number, std::exchange(file.handle, 0));
        for (unsigned i = 0; i < 100 && fixture_->background_step().value_or(false); ++i)
            ;
        fixture_.unmount();
        const auto report = fsck::check(test::open_table(fixture_.all_media()));
        if (!report.clean())
            fuzz::fail("fsck after ioctls: " + report.findings.front().text);
    }

  private:
    struct File {
        InodeNumber number;
        volume::Handle handle;
    };

    static const volume::Caller &superuser() {
        static const volume::Caller caller{
            .uid = 0, .gid = 0, .umask = 0, .has_capability = [](int) { return true; }};
        return caller;
    }
    template <typename T> static T must(Result<T> result) {
        if (!result)
            fuzz::fail("bench: " + describe(result.error()));
        return *std::move(result);
    }
    InodeNumber make(const char *name, std::uint32_t mode) {
        return must(fixture_->make_node(superuser(), root, name, {mode, 0, {}})).number;
    }
    void add(InodeNumber number) {
        const volume::OpenRequest request{.write = true, .direct = true};
        files_.push_back({number, must(fixture_->open_file(superuser(), number, request)).handle});
    }
    void write(unsigned file, std::uint64_t offset, std::size_t length) {
        must(fixture_->write(files_[file].number, files_[file].handle, offset,
                             std::vector<std::byte>(length, std::byte{0x33})));
    }

    // Makes of arbitrary bytes, if so asked, what gets past the first checks.
    void prepare(unsigned command, Message &message) const {
        auto *words = reinterpret_cast<std::uint64_t *>(message.payload);
        if ((message.flags & small_numbers) != 0)
            for (unsigned i = 0; i < 3; ++i)
                words[i] %= 65536;
        if ((message.flags & clear_reserved) != 0) {
            const bool bare = command == DAXPIN_IOC_BREAK || command == DAXPIN_IOC_FORGET;
            const std::size_t used = bare ? 0 : 28;
            std::memset(message.payload + used, 0, payload_bytes - used);
        }
        if ((message.flags & known_lease) == 0)
            return;
        if (command == DAXPIN_IOC_RELEASE)
            words[0] = lease_.id;
        if (command == DAXPIN_IOC_EXTENTS)
            std::memcpy(words + 1, &lease_.generation, sizeof lease_.generation);
    }

    static std::size_t size_in(unsigned command, const Message &message) {
        if ((message.flags & other_in_size) != 0)
            return message.other_size;
        return (_IOC_DIR(command) & _IOC_WRITE) != 0 ? _IOC_SIZE(command) : 0;
    }
    static std::size_t room(unsigned command, const Message &message) {
        if ((message.flags & other_room) != 0)
            return message.other_size * (room_max / 255);
        return (_IOC_DIR(command) & _IOC_READ) != 0 ? _IOC_SIZE(command) : 0;
    }

    void take(const IoctlRequest &request, bool by_stranger) {
        volume::Caller caller = superuser();
        if (by_stranger) {
            caller.uid = caller.gid = 4242;
            caller.has_capability = [](int) { return false; };
        }
        const auto answer = answer_ioctl(fs_, caller, request);
        if (!answer && (answer.code() == Errc::corrupt || answer.code() == Errc::io))
            fuzz::fail("ioctl: " + describe(answer.error()));
        if (!answer)
            return;
        if (answer->size() > request.out_bytes)
            fuzz::fail("an answer larger than its room");
        if (request.command == DAXPIN_IOC_LEASE && answer->size() == sizeof lease_)
            std::memcpy(&lease_, answer->data(), sizeof lease_);
    }

    // A lease that was asked back seals no more: time stands still here.
    static volume::Options impatient() {
        volume::Options options;
        options.lease_break_s = 0;
        return options;
    }

    test::VolumeFixture fixture_{{.device_bytes = std::uint64_t{1} << 20}, impatient()};
    Notifier notifier_{[](const Invalidation &) {}};
    Background background_{fixture_.volume()};
    DaemonOptions options_;
    Filesystem fs_{fixture_.volume(), notifier_, background_, options_};
    std::vector<File> files_;
    daxpin_lease lease_{};
};

} // namespace

DAXPIN_MUTATE_RECORDS(0, sizeof(Message));

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size) {
    fuzz::Input input(bytes, size);
    Bench bench;
    for (std::size_t i = 0; i < messages_max && !input.empty(); ++i)
        bench.send(input.take<Message>());
    bench.finish();
    return 0;
}
