// Replacements of two functions of a process's vDSO on arm64; see clock_x86_64.S, its counterpart.
// By hand:
//
//     aarch64-linux-gnu-as clock_aarch64.S -o clock.o && aarch64-linux-gnu-objcopy -O binary -j .text clock.o clock.bin

        .text

        .set    SLOT, 192               // 8 clocks of since, offset, gain

clock_gettime:                          // w0: clock, x1: struct timespec *
        mov     w9, w0
        mov     x8, #113
        svc     #0                      // keeps all registers but x0
        cbnz    x0, 1f
        cmp     w9, #7
        b.hi    1f
        ldp     x10, x11, [x1]
        mov     x12, #0xca00            // 1000000000
        movk    x12, #0x3b9a, lsl #16
        madd    x10, x10, x12, x11      // x10: now
        mov     w13, #24                // of three words each
        umull   x13, w9, w13
        adr     x14, turn
2:      ldar    x15, [x14]
        adr     x2, slots
        and     x3, x15, #1
        mov     x4, #SLOT
        madd    x2, x3, x4, x2
        add     x2, x2, x13
        ldp     x3, x4, [x2]            // since, offset
        ldr     x5, [x2, #16]           // gain
        dmb     ishld
        ldr     x2, [x14]
        cmp     x2, x15
        b.ne    2b
        sub     x3, x10, x3
        smulh   x2, x3, x5
        mul     x3, x3, x5
        extr    x3, x2, x3, #32
        add     x3, x3, x4
        add     x10, x10, x3
        udiv    x2, x10, x12
        msub    x3, x2, x12, x10
        stp     x2, x3, [x1]
        mov     x0, #0
1:      ret

        .balign 8
gettimeofday:                           // x0: struct timeval *, x1: struct timezone *; either may be null
        mov     x7, x30
        mov     x6, x0
        cbz     x1, 1f
        mov     x0, #0
        mov     x8, #169
        svc     #0                      // the time zone alone
        cbnz    x0, 2f
1:      mov     x0, #0
        cbz     x6, 2f
        mov     x1, x6                  // a timeval is as large as a timespec
        bl      clock_gettime
        cbnz    x0, 2f
        ldr     x2, [x1, #8]
        mov     x3, #1000
        udiv    x2, x2, x3
        str     x2, [x1, #8]
2:      mov     x30, x7
        ret

        .balign 8
turn:   .quad   0
slots:  .zero   2 * SLOT
