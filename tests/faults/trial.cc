// SPDX-License-Identifier: BSD-3-Clause
#include "faults/trial.h"

#include "faults/compare.h"
#include "faults/use.h"
#include "faults/walk.h"
#include "tools/fsck/check.h"

#include <algorithm>

namespace daxpin::faults {

namespace {

class Attempt {
  public:
    Attempt(const Specimen &specimen, Order order, crash::Scratch &scratch, const Fault &fault)
        : specimen_(specimen), order_(order), scratch_(scratch), fault_(fault),
          hit_(inodes_hit(specimen, fault)) {}

    Verdict run() {
        check_before_ = check();
        is_stale_ = fault_.damage == Damage::older && std::ranges::any_of(check_before_, is_error);
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
    static constexpr const char *note_prefix = "note: ";
    static bool is_error(const std::string &text) { return !text.starts_with(note_prefix); }

    Errors check() const {
        Errors errors;
        for (const auto &finding : fsck::check(test::open_table(scratch_.media())).findings)
            errors.push_back((finding.severity == fsck::Severity::error ? "" : note_prefix) +
                             std::string(to_string(finding.subject)) + ": " + finding.text);
        std::ranges::sort(errors);
        return errors;
    }

    void note(const std::string &when, const std::string &problem) {
        if (problem_.empty() && !problem.empty() && !is_stale_) // then nothing is promised
            problem_ = when + ": " + problem;
    }

    // A ring that was hit is refused as a whole.
    void look(volume::Volume &volume, const crash::Dump &dump, const std::string &when) {
        static const std::set<std::uint64_t> nobody;
        note(when, walk(volume, dump, fault_.place == Place::record ? nobody : hit_));
    }

    // What nobody can know to be outdated is the truth from now on.
    crash::Dump outdated_dump(volume::Volume &volume) {
        auto dump = crash::take_dump(volume);
        if (!dump) {
            note("mount", describe(dump.error()));
            return specimen_.dump;
        }
        const auto comparison = compare(specimen_.dump, *dump, hit_);
        note("mount", comparison.problem);
        note("mount", neither(comparison.affected, *dump, specimen_.dump,
                              specimen_.earlier[fault_.which].dump));
        is_outdated_ = !comparison.affected.empty();
        return std::move(*dump);
    }

    // What there is to be used where much may be missing: all that is shown, or the root alone.
    crash::Dump stale_dump(volume::Volume &volume) const {
        auto dump = crash::take_dump(volume);
        if (dump)
            return std::move(*dump);
        crash::Dump root;
        root.names[""] = format::root_inode;
        root.files[format::root_inode] = specimen_.dump.files.at(format::root_inode);
        return root;
    }

    crash::Dump dump_of(volume::Volume &volume) {
        if (fault_.damage != Damage::older)
            return specimen_.dump;
        return is_stale_ ? stale_dump(volume) : outdated_dump(volume);
    }

    void work(volume::Volume &volume) {
        crash::Dump dump = dump_of(volume);
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
            problem_ = "unmounting: damage was met, and the volume is writable";
        const auto bytes = scratch_.media()[0]->bytes();
        const crash::Bytes before(bytes.begin(), bytes.end());
        volume.reset();
        if (shut && !std::ranges::equal(before, bytes))
            problem_ = "unmounting: something was written after damage was met";
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
        if (is_stale_)
            return {found, {}};
        if (fault_.place == Place::record && fault_.damage != Damage::older)
            return {contained, "a damaged record was not noticed"};
        const Errors after = check();
        for (const std::string &error : after)
            if (!std::ranges::binary_search(check_before_, error))
                return {contained, "fsck after use: " + error};
        if (damaged_)
            return {contained, check_before_.empty() ? "damage that fsck does not find" : ""};
        if (!after.empty())
            return {contained, "not noticed, and found by fsck: " + after.front()};
        if (is_outdated_)
            return {outdated, {}};
        return {check_before_.empty() ? harmless : repaired, {}};
    }

    const Specimen &specimen_;
    const Order order_;
    crash::Scratch &scratch_;
    const Fault fault_;
    const std::set<std::uint64_t> hit_;
    bool is_stale_ = false;    // an older copy, and fsck says so
    bool is_outdated_ = false; // an older copy, and nothing tells
    Errors check_before_;
    std::string problem_;
    bool damaged_ = false;
};

} // namespace

Trial make_trial(const Specimen &specimen, Order order) {
    return {{"harmless", "repaired", "contained", "refused", "found", "outdated"},
            [&specimen, order](crash::Scratch &scratch, const Fault &fault) {
                return Attempt(specimen, order, scratch, fault).run();
            }};
}

} // namespace daxpin::faults
