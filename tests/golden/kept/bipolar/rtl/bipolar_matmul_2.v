// matvec `matmul_2` of bipolar
module bipolar_matmul_2 (
  input  wire [7:0] from_x,
  output wire [35:0] result);

  wire x_y0 = from_x[0];
  wire x_y1 = from_x[1];
  wire x_y2 = from_x[2];
  wire x_y3 = from_x[3];
  wire x_y4 = from_x[4];
  wire x_y5 = from_x[5];
  wire x_y6 = from_x[6];
  wire x_y7 = from_x[7];
  wire [1:0] t8 = {1'd0, x_y3} - {1'd0, x_y4};
  wire [1:0] t9 = {1'd0, x_y7} - {1'd0, x_y2};
  wire [2:0] t10_c = {t8[1], t8} + {t9[1], t9};
  wire [2:0] t10 = {t10_c[2:1], t8[0] ^ t9[0]};
  wire [1:0] t11 = {1'd0, x_y5} - {1'd0, x_y6};
  wire [1:0] t12 = {1'd0, x_y1} - {1'd0, x_y0};
  wire [2:0] t13_c = {t11[1], t11} + {t12[1], t12};
  wire [2:0] t13 = {t13_c[2:1], t11[0] ^ t12[0]};
  wire [2:0] t14_c = {t11[1], t11} - {t12[1], t12};
  wire [2:0] t14 = {t14_c[2:1], t11[0] ^ t12[0]};
  wire [1:0] t15 = {1'd0, x_y0} + {1'd0, x_y1};
  wire [2:0] t16_c = {t11[1], t11} + {1'd0, t15};
  wire [2:0] t16 = {t16_c[2:1], t11[0] ^ t15[0]};
  wire [1:0] t17 = {1'd0, x_y5} + {1'd0, x_y6};
  wire [2:0] t18_c = t10 - {1'd0, t17};
  wire [2:0] t18 = {t18_c[2:1], t10[0] ^ t17[0]};
  wire [2:0] t19_c = {t9[1], t9} - {t8[1], t8};
  wire [2:0] t19 = {t19_c[2:1], t9[0] ^ t8[0]};
  wire [3:0] t20_c = {t14[2], t14} + {t19[2], t19};
  wire [3:0] t20 = {t20_c[3:1], t14[0] ^ t19[0]};
  wire [1:0] t21 = {1'd0, x_y2} + {1'd0, x_y7};
  wire [2:0] t22_c = {t8[1], t8} - {1'd0, t21};
  wire [2:0] t22 = {t22_c[2:1], t8[0] ^ t21[0]};
  wire [3:0] t23_c = {t22[2], t22} - {t13[2], t13};
  wire [3:0] t23 = {t23_c[3:1], t22[0] ^ t13[0]};
  wire [3:0] t24_c = {t10[2], t10} + {t13[2], t13};
  wire [3:0] t24 = {t24_c[3:1], t10[0] ^ t13[0]};
  wire [1:0] t25 = {1'd0, x_y3} + {1'd0, x_y4};
  wire [2:0] t26_c = {t9[1], t9} + {1'd0, t25};
  wire [2:0] t26 = {t26_c[2:1], t9[0] ^ t25[0]};
  wire [3:0] t27_c = {t26[2], t26} - {t14[2], t14};
  wire [3:0] t27 = {t27_c[3:1], t26[0] ^ t14[0]};
  wire [2:0] t28_c = {1'd0, t15} + {1'd0, t17};
  wire [2:0] t28 = {t28_c[2:1], t15[0] ^ t17[0]};
  wire [3:0] t29_c = {t10[2], t10} + {1'd0, t28};
  wire [3:0] t29 = {t29_c[3:1], t10[0] ^ t28[0]};
  wire [3:0] t30_c = {t10[2], t10} - {t16[2], t16};
  wire [3:0] t30 = {t30_c[3:1], t10[0] ^ t16[0]};
  wire [3:0] t31_c = {{2{t12[1]}}, t12} + {t18[2], t18};
  wire [3:0] t31 = {t31_c[3:1], t12[0] ^ t18[0]};
  wire [3:0] t32_c = {2'd0, t15} + {t18[2], t18};
  wire [3:0] t32 = {t32_c[3:1], t15[0] ^ t18[0]};
  wire [3:0] t33_c = {t10[2], t10} + {t16[2], t16};
  wire [3:0] t33 = {t33_c[3:1], t10[0] ^ t16[0]};
  assign result = {t33, t32, t31, t30, t29, t27, t24, t23, t20};

endmodule
