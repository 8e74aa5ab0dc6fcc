rtl/bipolar_types.vhd
rtl/bipolar_x.vhd
rtl/bipolar_matmul_2.vhd
rtl/bipolar_multithreshold_4.vhd
rtl/bipolar_matmul_6.vhd
rtl/bipolar_argmax_7.vhd
rtl/bipolar_topk_8.vhd
rtl/bipolar.vhd
