// SPDX-License-Identifier: BSD-3-Clause
#include "faults/trial.h"

#include "faults/use.h"
#include "faults/walk.h"
#include "tools/fsck/check.h"

#include <algorithm>

namespace daxpin::faults {

namespace {

class Attempt {
  public:
    Attempt(const Specimen &specimen, Order order, crash::Scratch &scratch, const Fault &fault)
        : specimen_(specimen), order_(order), scratch_(scratch), fault_(fault) {}

    Verdict run() {
        check_before_ = check();
        test::TestEnv env(77);
        volume::Options options;
        options.atime = volume::Atime::none;
        options.errors =
            order_ == Order::look_first ? volume::OnDamage::read_only : volume::OnDamage::go_on;
        auto volume = volume::Volume::open(test::open_table(scratch_.media()), env, options);
        if (!volume)
            return judge_refusal(volume.error());
        work(**volume);
        damaged_ = (*volume)->damage().count > 0;
        unmount(std::move(*volume));
        return judge();
    }

  private:
    using Errors = std::vector<std::string>;

    Errors check() const {
        Errors errors;
        for (const auto &finding : fsck::check(test::open_table(scratch_.media())).findings)
            errors.push_back((finding.severity == fsck::Severity::error ? "" : "note: ") +
                             std::string(to_string(finding.subject)) + ": " + finding.text);
        std::ranges::sort(errors);
        return errors;
    }

    void note(const std::string &when, const std::string &problem) {
        if (problem_.empty() && !problem.empty())
            problem_ = when + ": " + problem;
    }

    void look(volume::Volume &volume, const crash::Dump &dump, const std::string &when) {
        static const std::set<std::uint64_t> nobody;
        const auto found = specimen_.inodes_in.find(fault_.offset / block_size);
        note(when, walk(volume, dump, found == specimen_.inodes_in.end() ? nobody : found->second));
    }

    void work(volume::Volume &volume) {
        crash::Dump dump = specimen_.dump;
        if (order_ == Order::look_first)
            look(volume, dump, "looking");
        note("using", use(volume, dump));
        look(volume, dump, "looking after use");
        note("deleting", delete_all(volume, dump));
        look(volume, dump, "looking after the deletions");
    }

    // After damage with errors=ro nothing is written, not even now.
    void unmount(std::unique_ptr<volume::Volume> volume) {
        const bool shut = damaged_ && order_ == Order::look_first;
        if (shut && !volume->read_only())
            note("unmounting", "damage was met, and the volume is writable");
        const auto bytes = scratch_.media()[0]->bytes();
        const crash::Bytes before(bytes.begin(), bytes.end());
        volume.reset();
        if (shut && !std::ranges::equal(before, bytes))
            note("unmounting", "something was written after damage was met");
    }

    Verdict judge_refusal(const Error &error) {
        if (error.text.empty())
            return {refused, "refused without a reason"};
        if (check() != check_before_)
            return {refused, "a mount that failed has written"};
        if (check_before_.empty())
            return {refused, "refused, and fsck finds nothing: " + error.text};
        return {refused, {}};
    }

    Verdict judge() {
        if (!problem_.empty())
            return {contained, problem_};
        const Errors after = check();
        for (const std::string &error : after)
            if (!std::ranges::binary_search(check_before_, error))
                return {contained, "fsck after use: " + error};
        if (damaged_)
            return {contained, check_before_.empty() ? "damage that fsck does not find" : ""};
        if (!after.empty())
            return {contained, "not noticed, and found by fsck: " + after.front()};
        return {check_before_.empty() ? harmless : repaired, {}};
    }

    const Specimen &specimen_;
    const Order order_;
    crash::Scratch &scratch_;
    const Fault fault_;
    Errors check_before_;
    std::string problem_;
    bool damaged_ = false;
};

} // namespace

Trial make_trial(const Specimen &specimen, Order order) {
    return {{"harmless", "repaired", "contained", "refused"},
            [&specimen, order](crash::Scratch &scratch, const Fault &fault) {
                return Attempt(specimen, order, scratch, fault).run();
            }};
}

} // namespace daxpin::faults
