// SPDX-License-Identifier: Apache-2.0
// Included inside a tier's namespace, after simd and math.

static constexpr AttendKernels<Real> kAttend = {};
