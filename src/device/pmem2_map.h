// SPDX-License-Identifier: BSD-3-Clause
//
// Mapping a whole device through libpmem2 and asking what makes stores to it durable.
#pragma once

#include "device/pmem2_device.h"

namespace daxpin::device {

// Maps info.size bytes of `fd` from offset 0 and sets info.domain and info.domain_assumed.
// ERRORS: as Pmem2Device::map().
Result<Pmem2Map> map_whole(int fd, DeviceInfo &info, std::optional<Domain> domain);

} // namespace daxpin::device
