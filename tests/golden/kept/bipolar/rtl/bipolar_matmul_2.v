// matvec `matmul_2` of bipolar
module bipolar_matmul_2 (
  input  wire clk,
  input  wire [12:0] from_x,
  output wire [35:0] result);

  wire x_y0 = from_x[0];
  wire x_y0_r1 = from_x[1];
  wire x_y1 = from_x[2];
  wire x_y1_r1 = from_x[3];
  wire x_y2 = from_x[4];
  wire x_y3 = from_x[5];
  wire x_y4 = from_x[6];
  wire x_y4_r1 = from_x[7];
  wire x_y5 = from_x[8];
  wire x_y5_r1 = from_x[9];
  wire x_y6 = from_x[10];
  wire x_y6_r1 = from_x[11];
  wire x_y7 = from_x[12];
  wire [1:0] t8 = {1'd0, x_y5} + {1'd0, x_y7};
  wire [1:0] t9 = {1'd0, x_y1} + {1'd0, x_y2};
  wire [1:0] t10_c = {1'd0, x_y0} - t9;
  wire [1:0] t10 = {t10_c[1], x_y0 ^ t9[0]};
  wire [1:0] t11 = {1'd0, x_y4} - {1'd0, x_y3};
  wire [1:0] t12_c = t11 - {1'd0, x_y6};
  wire [1:0] t12 = {t12_c[1], t11[0] ^ x_y6};
  wire [2:0] t13_c = {1'd0, t8} + {t10[1], t10};
  wire [2:0] t13 = {t13_c[2:1], t8[0] ^ t10[0]};
  wire [3:0] t14_c = {{2{t12[1]}}, t12} + {t13[2], t13};
  wire [3:0] t14 = {t14_c[3:1], t12[0] ^ t13[0]};
  wire [3:0] t15_c = {t10[1], t10, 1'd0} - t14;
  wire [3:0] t15 = {t15_c[3:1], 1'd0 ^ t14[0]};
  reg [3:0] t15_r1;
  wire [1:0] t16_c = {1'd0, x_y1} + t8;
  wire [1:0] t16 = {t16_c[1], x_y1 ^ t8[0]};
  wire [2:0] t17_c = t15[3:1] + {1'd0, t16};
  wire [3:0] t17 = {t17_c[2:1], t15[1] ^ t16[0], t15[0]};
  wire [1:0] t18 = {1'd0, x_y7} - {1'd0, x_y0};
  reg [1:0] t18_r1;
  wire [2:0] t19_c = t15_r1[3:1] + {t18_r1[1], t18_r1};
  wire [3:0] t19 = {t19_c, t15_r1[0]};
  wire [1:0] t20 = {1'd0, x_y1_r1} + {1'd0, x_y4_r1};
  wire [2:0] t21_c = t19[3:1] + {1'd0, t20};
  wire [3:0] t21 = {t21_c[2:1], t19[1] ^ t20[0], t19[0]};
  wire [1:0] t22 = {1'd0, x_y1_r1} - {1'd0, x_y6_r1};
  wire [2:0] t23_c = t19[3:1] + {t22[1], t22};
  wire [3:0] t23 = {t23_c[2:1], t19[1] ^ t22[0], t19[0]};
  wire [2:0] t24_c = {2'd0, x_y5_r1} + t23[3:1];
  wire [3:0] t24 = {t24_c[2:1], x_y5_r1 ^ t23[1], t23[0]};
  wire [2:0] t25_c = {2'd0, x_y0_r1} + t23[3:1];
  wire [3:0] t25 = {t25_c[2:1], x_y0_r1 ^ t23[1], t23[0]};
  wire [1:0] t26 = {1'd0, x_y0_r1} + {1'd0, x_y5_r1};
  wire [2:0] t27_c = t23[3:1] + {1'd0, t26};
  wire [3:0] t27 = {t27_c[2:1], t23[1] ^ t26[0], t23[0]};
  assign result = {t27, t25, t24, t23, t21, t19, t17, t15_r1, t14};

  always @(posedge clk) begin
    t15_r1 <= t15;
    t18_r1 <= t18;
  end

endmodule
