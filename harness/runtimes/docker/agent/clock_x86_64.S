# Replacements of three functions of a process's vDSO on x86-64, as position-independent code and data.
# `vdso.py` holds the assembled bytes; a test assembles this file and compares. By hand:
#
#     as clock_x86_64.S -o clock.o && objcopy -O binary -j .text clock.o clock.bin
#
# Each function makes the real system call and adds the error that the table gives for that clock:
#
#     error = offset + (now - since) * gain / 2**32          in ns; gain is a signed fixed-point number
#
# The table has two slots; the lowest bit of `turn` says which one is valid. A writer fills the other slot and then
# increments `turn`. A reader that finds `turn` unchanged afterwards has read one consistent slot. Neither waits.

        .intel_syntax noprefix
        .text

        .set    SLOT, 192               # 8 clocks of since, offset, gain
        .set    SECOND, 1000000000

clock_gettime:                          # edi: clock, rsi: struct timespec *
        mov     eax, 228
        syscall                         # keeps all registers but rax, rcx, r11
        test    eax, eax
        jnz     1f
        cmp     edi, 7
        ja      1f
        mov     r9, [rsi]
        imul    r9, r9, SECOND
        add     r9, [rsi + 8]           # r9: now
        mov     ecx, edi
        lea     ecx, [rcx + rcx * 2]    # of three words each
2:      mov     r8, [rip + turn]
        mov     edx, r8d
        and     edx, 1
        imul    edx, edx, SLOT
        lea     r10, [rip + slots]
        add     r10, rdx
        lea     r10, [r10 + rcx * 8]
        mov     rax, r9
        sub     rax, [r10]              # since
        imul    qword ptr [r10 + 16]    # gain; rdx:rax
        shrd    rax, rdx, 32
        add     rax, [r10 + 8]          # offset
        cmp     r8, [rip + turn]
        jne     2b
        add     rax, r9
        xor     edx, edx
        mov     ecx, SECOND
        div     rcx
        mov     [rsi], rax
        mov     [rsi + 8], rdx
        xor     eax, eax
1:      ret

        .balign 8
gettimeofday:                           # rdi: struct timeval *, rsi: struct timezone *; either may be null
        test    rsi, rsi
        jz      1f
        mov     r8, rdi
        xor     edi, edi
        mov     eax, 96
        syscall                         # the time zone alone
        mov     rdi, r8
        test    eax, eax
        jnz     2f
1:      xor     eax, eax
        test    rdi, rdi
        jz      2f
        mov     rsi, rdi                # a timeval is as large as a timespec
        xor     edi, edi
        call    clock_gettime
        test    eax, eax
        jnz     2f
        mov     eax, [rsi + 8]
        xor     edx, edx
        mov     ecx, 1000
        div     ecx
        mov     [rsi + 8], rax
        xor     eax, eax
2:      ret

        .balign 8
time:                                   # rdi: time_t *, may be null
        push    rdi
        sub     rsp, 16
        mov     rsi, rsp
        xor     edi, edi
        call    clock_gettime
        pop     rax                     # seconds
        pop     rdx
        pop     rdi
        test    rdi, rdi
        jz      1f
        mov     [rdi], rax
1:      ret

        .balign 8
turn:   .quad   0
slots:  .zero   2 * SLOT
