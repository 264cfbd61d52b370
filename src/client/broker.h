// SPDX-License-Identifier: BSD-3-Clause
//
// Descriptors of devices that this process may not open by itself: the daemon's broker passes
// them to programs that prove a lease. Protocol: daxpin-ioctl(2), DAXPIN_IOC_TICKET.
#pragma once

#include "client/file.h"

namespace daxpin::client {

// ERRORS: see daxpin-ioctl(2), DAXPIN_IOC_TICKET.
Result<daxpin_ticket> ticket_of(const LeasedFile &file);

// For reading, or for both under a lease for writing, which lives.
// ERRORS: those of socket(2) and connect(2); access if the broker does not take the ticket.
Result<UniqueFd> open_by_broker(const daxpin_ticket &ticket, unsigned device);

} // namespace daxpin::client
