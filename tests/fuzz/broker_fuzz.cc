// SPDX-License-Identifier: BSD-3-Clause
//
// What clients send to the broker, among leases and tickets that come and go: a descriptor is
// passed exactly if a simple model says so.
//
// Input: steps of 64 bytes.
#include "fusefs/broker.h"
#include "fuzz/input.h"
#include "fuzz/mutate.h"
#include "support/volume_fixture.h"

#include <algorithm>
#include <array>
#include <vector>

namespace {

using namespace daxpin;
using namespace daxpin::fusefs;

constexpr std::size_t steps_max = 64;
constexpr std::size_t files_count = 2;

enum class Action : std::uint8_t { lease, release, issue, show, show_changed, send, count };

struct Step {
    std::uint8_t action;
    std::uint8_t file;
    std::uint8_t which; // lease or ticket
    std::uint8_t peer;
    std::uint8_t length; // of the message that is sent; others: 0 = whole
    std::uint8_t reserved[3];
    daxpin_broker_request message;
    std::uint64_t unused;
};
static_assert(sizeof(Step) == 64);

class Bench {
  public:
    Bench() {
        const volume::Caller superuser = caller();
        for (unsigned i = 0; i < files_count; ++i) {
            const auto made = must(fixture_->make_node(superuser, InodeNumber{format::root_inode},
                                                       std::string(1, static_cast<char>('a' + i)),
                                                       {0100644, 0, {}}));
            const volume::OpenRequest request{.write = true, .direct = true};
            const auto open = must(fixture_->open_file(superuser, made.number, request));
            must(fixture_->write(made.number, open.handle, 0, std::vector<std::byte>(4096)));
            files_[i] = {made.number, open.handle};
        }
    }
    ~Bench() {
        for (const auto &file : files_)
            fixture_->release(file.number, file.handle);
    }
    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    void take(const Step &step) {
        switch (static_cast<Action>(step.action % static_cast<unsigned>(Action::count))) {
        case Action::lease:
            return lease(files_[step.file % files_count]);
        case Action::release:
            return release(step.which);
        case Action::issue:
            return issue(step.which, step.peer);
        case Action::show:
            return show(step, false);
        case Action::show_changed:
            return show(step, true);
        default:
            return send(step.message, step.length, step.peer);
        }
    }

  private:
    struct File {
        InodeNumber number;
        volume::Handle handle;
    };
    struct Ticket {
        Tickets::Bytes bytes;
        std::size_t lease; // index
        Tickets::Holder holder;
        bool good;
    };
    struct Lease {
        Tickets::Lease lease;
        bool lives;
    };

    static volume::Caller caller() {
        return {.uid = 0, .gid = 0, .umask = 0, .has_capability = [](int) { return true; }};
    }
    template <typename T> static T must(Result<T> result) {
        if (!result)
            fuzz::fail("bench: " + describe(result.error()));
        return *std::move(result);
    }
    static Tickets::Holder peer(std::uint8_t number) { return {number % 2U, number / 2 % 2}; }

    void lease(const File &file) {
        const auto granted =
            must(fixture_->lease(caller(), file.number, {0, 0}, false, true, file.handle));
        leases_.push_back({{file.number, file.handle, granted.id}, true});
    }

    void release(std::uint8_t which) {
        if (leases_.empty())
            return;
        Lease &one = leases_[which % leases_.size()];
        const bool released =
            fixture_->release_lease(one.lease.inode, one.lease.handle, one.lease.id).has_value();
        if (released != one.lives)
            fuzz::fail("a lease ended twice, or never");
        one.lives = false;
    }

    void issue(std::uint8_t which, std::uint8_t to) {
        if (leases_.empty())
            return;
        const std::size_t index = which % leases_.size();
        for (Ticket &ticket : tickets_)
            ticket.good = ticket.good && ticket.lease != index;
        tickets_.push_back({broker_.issue(leases_[index].lease, peer(to)), index, peer(to), true});
    }

    void show(const Step &step, bool changed) {
        if (tickets_.empty())
            return;
        daxpin_broker_request message = step.message;
        if (!changed)
            message = {};
        const auto &bytes = tickets_[step.which % tickets_.size()].bytes;
        for (std::size_t i = 0; i < bytes.size(); ++i)
            message.ticket[i] ^= std::to_integer<std::uint8_t>(bytes[i]);
        send(message, step.length, step.peer);
    }

    // Passes and is used up: the ticket that a request shows, if there is such a one.
    bool is_allowed(const daxpin_broker_request &message, Tickets::Holder from) {
        const auto found = std::ranges::find_if(tickets_, [&](const Ticket &ticket) {
            return ticket.good && ticket.holder == from &&
                   std::memcmp(ticket.bytes.data(), message.ticket, sizeof message.ticket) == 0;
        });
        if (found == tickets_.end())
            return false;
        found->good = false;
        return leases_[found->lease].lives;
    }

    void send(const daxpin_broker_request &message, std::uint8_t length, std::uint8_t from) {
        std::array<std::byte, 256> room{};
        std::memcpy(room.data(), &message, sizeof message);
        const std::size_t bytes = length == 0 ? sizeof message : length;
        const bool well_formed =
            bytes == sizeof message && message.device == 0 &&
            std::ranges::all_of(message.reserved, [](auto w) { return w == 0; });
        const bool allowed = well_formed && is_allowed(message, peer(from));
        const auto answer = broker_.answer(std::span(room).first(bytes), peer(from));
        // A simulated device has no file to open.
        const bool passed = answer || answer.code() == Errc::unsupported;
        if (passed != allowed)
            fuzz::fail(passed ? "a descriptor is passed to who must not have it"
                              : "a good ticket is refused");
    }

    test::VolumeFixture fixture_{{.device_bytes = std::uint64_t{1} << 20}};
    test::TestEnv env_;
    Broker broker_{fixture_.volume(), env_};
    std::array<File, files_count> files_{};
    std::vector<Lease> leases_;
    std::vector<Ticket> tickets_;
};

} // namespace

DAXPIN_MUTATE_RECORDS(0, sizeof(Step));

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *bytes, std::size_t size) {
    fuzz::Input input(bytes, size);
    Bench bench;
    for (std::size_t i = 0; i < steps_max && !input.empty(); ++i)
        bench.take(input.take<Step>());
    return 0;
}
